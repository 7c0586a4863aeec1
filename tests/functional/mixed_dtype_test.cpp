#include <algorithm>
#include <cmath>
#include <span>

#include "support/calls.h"
#include "support/cases/element.h"
#include "support/cases/problem.h"
#include "support/tolerance.h"

namespace F = halnorm::functional;
using calls::Arguments;
using calls::expect_refused;
using halnorm::DType;
using halnorm::DTypeError;
using halnorm::Tensor;
using placement::Layout;

namespace {

constexpr double eps = 1e-5;
constexpr DType floating[] = {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64};

/// Data of one dtype beside parameters and running statistics of another.
struct Pair {
  DType data, parameters;
};

std::vector<Pair> every_pair() {
  std::vector<Pair> pairs;
  for (const DType data : element::linked()) {
    for (const DType parameters : floating) {
      pairs.push_back({data, parameters});
    }
  }
  return pairs;
}

std::string name_of_pair(const ::testing::TestParamInfo<Pair>& info) {
  return std::string(halnorm::name_of(info.param.data)) + "_beside_" +
         std::string(halnorm::name_of(info.param.parameters));
}

class MixedDtype : public ::testing::TestWithParam<Pair> {
 protected:
  static DType data() { return GetParam().data; }
  static DType parameters() { return GetParam().parameters; }
  /// The dtype of the arithmetic.
  static DType computed() {
    return data() == DType::Float64 || parameters() == DType::Float64 ? DType::Float64
                                                                      : DType::Float32;
  }

  static Problem problem(Layout layout, const shapes::Extents& extents) {
    Problem p({77, data()}, layout, extents, data(), 10.0);
    convert(p.weight, p.layer.weight);
    convert(p.bias, p.layer.bias);
    convert(p.running_mean, p.layer.running_mean);
    convert(p.running_var, p.layer.running_var);
    return p;
  }

  static void convert(Tensor& parameter, std::vector<double>& values) {
    parameter = parameter.to(parameters()).clone();
    values = inputs::doubles(parameter);
  }

  /// The error of storing float64 results in float32: one more rounding.
  static double of_storing(DType stored, const oracle::Values& values) {
    return stored == DType::Float32 ? 0x1p-24 * largest(values) : 0.0;
  }

  static void expect_y(const Problem& p, const oracle::Values& y, const oracle::Values& mean,
                       const oracle::Values& invstd) {
    EXPECT_TRUE(p.out.surroundings_intact());
    const double allowed = tolerance::normalized(computed(), y, mean, invstd, p.w());
    expect_near(p.out.batch().values, y, allowed + of_storing(data(), y), "y", data());
  }

  static void expect_gradients(const Problem& p, const F::BatchNormBackward& got,
                               const oracle::Gradients& truth, const oracle::Values& mean,
                               const oracle::Values& invstd) {
    const auto allowed =
        tolerance::gradients(computed(), p.dy_values, p.x_values, mean, invstd, p.w(), truth);
    EXPECT_EQ(got.dx.dtype(), data());
    EXPECT_EQ(got.dweight.dtype(), parameters());
    EXPECT_EQ(got.dbias.dtype(), parameters());
    const auto of = [&](const oracle::Values& sums) { return of_storing(parameters(), sums); };
    expect_near(p.out.batch().values, truth.dx, allowed.dx + of_storing(data(), truth.dx), "dx",
                data());
    expect_near(inputs::doubles(got.dweight), truth.dweight, allowed.dweight + of(truth.dweight),
                "dweight", parameters());
    expect_near(inputs::doubles(got.dbias), truth.dbias, allowed.dbias + of(truth.dbias), "dbias",
                parameters());
  }
};

const std::vector<shapes::Extents> few = {
    {7, 15, 1, "rows alone"},
    {3, 17, 33, "odd in every direction"},
};

const std::vector<Layout> layouts = {Layout::Ncl, Layout::Nlc, Layout::Spaced};

template <class Check>
void for_each_problem(Check check) {
  for (const shapes::Extents& extents : few) {
    for (const Layout layout : layouts) {
      SCOPED_TRACE(extents.str() + " " + placement::name_of(layout));
      check(layout, extents);
    }
  }
}

/// dweight and dbias of every backward operation, of a batch with `rows` rows.
std::vector<std::pair<Tensor, Tensor>> all_gradients(DType data, const Tensor& weight,
                                                     DType statistics, std::int64_t rows) {
  const Tensor x = Tensor::randn({rows, 3}, 1, data);
  const Tensor mean = Tensor::zeros({3}, statistics);
  const Tensor var = Tensor::ones({3}, statistics);
  const Tensor saved =
      Tensor::ones({3}, statistics == DType::Float64 ? statistics : DType::Float32);
  const auto plain = F::batch_norm_backward(x, x, weight, saved, saved);
  const auto infer = F::batch_norm_backward_infer(x, x, weight, mean, var, eps);
  const auto fused = F::batch_norm_fused_backward(x, x, x, weight, saved, saved);
  const auto fused_infer = F::batch_norm_fused_backward_infer(x, x, x, weight, mean, var, eps);
  const auto split = F::batch_norm_backward_reduce(x, x, saved, saved, weight);
  return {{plain.dweight, plain.dbias},
          {infer.dweight, infer.dbias},
          {fused.dweight, fused.dbias},
          {fused_infer.dweight, fused_infer.dbias},
          {split.dweight, split.dbias}};
}

}  // namespace

TEST_P(MixedDtype, TrainingIsAsGoodAsTheWiderOfTheTwo) {
  for_each_problem([](Layout layout, const shapes::Extents& extents) {
    Problem p = problem(layout, extents);
    const auto got = F::batch_norm_train_update(p.x.tensor(), p.running_mean, p.running_var,
                                                p.weight, p.bias, 0.25, eps, p.out.tensor());
    const oracle::Statistics batch = oracle::statistics(p.x_values);
    const oracle::Values invstd = batch.invstd(eps);
    expect_y(p, oracle::normalize(p.x_values, batch.mean, invstd, p.w(), p.b()), batch.mean,
             invstd);
    EXPECT_EQ(got.mean.dtype(), DType::Float64);
    const oracle::Running want = oracle::updated(p.running(), batch, 0.25);
    const double single = parameters() == DType::Float32 ? 0x1p-24 : 0.0;
    const double relative = tolerance::relative(computed()) + single;
    EXPECT_EQ(p.running_mean.dtype(), parameters());
    // The mean's error is relative to the standard deviation, which is about 1, and to itself when
    // stored.
    expect_near(inputs::doubles(p.running_mean), want.mean,
                relative * 2 + (single + 0x1p-52) * largest(want.mean), "running_mean",
                parameters());
    expect_near(inputs::doubles(p.running_var), want.variance, relative * largest(want.variance),
                "running_var", parameters());
  });
}

TEST_P(MixedDtype, InferenceIsAsGoodAsTheWiderAndWritesNoBuffer) {
  for_each_problem([](Layout layout, const shapes::Extents& extents) {
    Problem p = problem(layout, extents);
    F::batch_norm(p.x.tensor(), p.running_mean, p.running_var, p.weight, p.bias, false, 0.1, eps,
                  p.out.tensor());
    const oracle::Values invstd = oracle::invstd_of(p.running().variance, eps);
    expect_y(p, oracle::infer(p.x_values, p.running(), p.w(), p.b(), eps), p.running().mean,
             invstd);
    EXPECT_EQ(p.running_mean.dtype(), parameters());
    EXPECT_TRUE(same_bits(inputs::doubles(p.running_mean), p.layer.running_mean));
    EXPECT_TRUE(same_bits(inputs::doubles(p.running_var), p.layer.running_var));
  });
}

TEST_P(MixedDtype, GradientsHaveTheParametersDtype) {
  for_each_problem([](Layout layout, const shapes::Extents& extents) {
    Problem p = problem(layout, extents);
    const Tensor x = p.x.tensor();
    const auto saved = F::batch_norm_train(x, p.weight, p.bias, eps);
    const oracle::Statistics batch = oracle::statistics(p.x_values);
    const oracle::Values invstd = batch.invstd(eps);
    const oracle::Gradients truth = oracle::backward(p.dy_values, p.x_values, p.w(), eps);
    const auto got = F::batch_norm_backward(p.dy.tensor(), x, p.weight, saved.mean, saved.invstd,
                                            p.out.tensor());
    expect_gradients(p, got, truth, batch.mean, invstd);
    const auto sums =
        F::batch_norm_backward_reduce(p.dy.tensor(), x, saved.mean, saved.invstd, p.weight);
    EXPECT_EQ(sums.dweight.dtype(), parameters());
    const Tensor count = Tensor::full({}, static_cast<double>(batch.count), DType::Float64);
    F::batch_norm_backward_elemt(p.dy.tensor(), x, saved.mean, saved.invstd, p.weight, sums.sum_dy,
                                 sums.sum_dy_xmu, count, p.out.tensor());
    expect_gradients(p, {p.out.tensor(), sums.dweight, sums.dbias}, truth, batch.mean, invstd);
    const auto infer = F::batch_norm_backward_infer(p.dy.tensor(), x, p.weight, p.running_mean,
                                                    p.running_var, eps, p.out.tensor());
    expect_gradients(p, infer,
                     oracle::backward_infer(p.dy_values, p.x_values, p.running(), p.w(), eps),
                     p.running().mean, oracle::invstd_of(p.running().variance, eps));
  });
}

TEST_P(MixedDtype, OutMayBeTheInput) {
  for_each_problem([](Layout layout, const shapes::Extents& extents) {
    Problem p = problem(layout, extents);
    Tensor x = p.x.tensor();
    const Tensor apart = F::batch_norm_train(x, p.weight, p.bias, eps).y;
    EXPECT_TRUE(F::batch_norm_train(x, p.weight, p.bias, eps, x).y.is_same(x));
    EXPECT_TRUE(p.x.surroundings_intact());
    EXPECT_TRUE(same_bits(inputs::doubles(apart), inputs::doubles(x)));
  });
}

INSTANTIATE_TEST_SUITE_P(Pairs, MixedDtype, ::testing::ValuesIn(every_pair()), name_of_pair);

TEST(MixedDtypes, GradientsHaveTheWeightsDtypeOrTheDatasWhateverTheStatisticsHave) {
  for (const DType data : element::linked()) {
    for (const DType statistics : floating) {
      for (const std::int64_t rows : {4, 0}) {
        const auto expect = [&](const Tensor& weight, DType want) {
          std::size_t operation = 0;
          for (const auto& [dweight, dbias] : all_gradients(data, weight, statistics, rows)) {
            SCOPED_TRACE(std::to_string(operation++) + ": " + std::string(name_of(data)) +
                         ", statistics " + std::string(name_of(statistics)) + ", rows " +
                         std::to_string(rows));
            EXPECT_EQ(dweight.dtype(), want);
            EXPECT_EQ(dbias.dtype(), want);
          }
        };
        expect({}, data == DType::Float64 ? DType::Float64 : DType::Float32);
        for (const DType weight : floating) {
          expect(Tensor::ones({3}, weight), weight);
        }
      }
    }
  }
}

TEST(MixedDtypes, PairsHaveOneDtype) {
  for (const auto& [function, member, name] :
       {std::tuple{calls::train, &Arguments::weight, "bias"},
        std::tuple{calls::infer, &Arguments::bias, "weight"},
        std::tuple{calls::elemt, &Arguments::bias, "weight"},
        std::tuple{calls::train_update, &Arguments::running_var, "running_mean"},
        std::tuple{calls::backward_infer, &Arguments::running_mean, "running_var"}}) {
    for (const DType other : {DType::Float64, DType::BFloat16}) {
      Arguments a;
      a.*member = (a.*member).to(other);
      expect_refused<DTypeError>(function, a,
                                 {name, "float32", halnorm::name_of(other), "one dtype for both"});
    }
  }
  Arguments a;
  a.running_var = a.running_var.to(DType::Float64);
  expect_throws<DTypeError>(
      [&] {
        F::update_running_stats(a.running_mean, a.running_var, F::batch_norm_moments(a.x), 0.1);
      },
      {"update_running_stats", "running_var is float64", "one dtype"});
}

TEST(MixedDtypes, IntegersAreNoParameters) {
  const Arguments valid;
  Arguments a;
  a.weight = a.bias = valid.weight.to(DType::Int64);
  for (const auto& function :
       {calls::train, calls::infer, calls::backward, calls::backward_infer, calls::elemt}) {
    expect_refused<DTypeError>(function, a, {"weight is int64", "float32"});
  }
  Arguments b;
  b.running_mean = b.running_var = valid.running_var.to(DType::Int64);
  for (const auto& function : {calls::train_update, calls::infer, calls::backward_infer}) {
    expect_refused<DTypeError>(function, b, {"running_mean is int64", "float32"});
  }
}

TEST(MixedDtypes, NarrowStatisticsAreRoundedOnce) {
  // The value is half way between 1 and its neighbour in the 16-bit dtype, and a little more. If it
  // were first rounded to float32, the little would be lost, and the tie would round to 1.
  for (const DType dtype : {DType::Float16, DType::BFloat16}) {
    const double step = 2 * element::roundoff(dtype);
    const Tensor mean = Tensor::ones({3}, dtype);
    const Tensor variance = Tensor::ones({3}, dtype);
    const Tensor fresh = Tensor::full({3}, 1 + step + 0x1p-40, DType::Float64);
    const Tensor count = Tensor::full({}, 2, DType::Float64);
    F::update_running_stats(mean, variance, {count, fresh, fresh}, 0.5);
    EXPECT_EQ(inputs::doubles(mean), std::vector<double>(3, 1 + step));
    EXPECT_EQ(inputs::doubles(variance), std::vector<double>(3, 1 + step));
  }
}

TEST(MixedDtypes, StridedNarrowStatisticsAreUpdatedInPlace) {
  const Tensor both = Tensor::ones({3, 2}, DType::Float16);
  const Tensor mean = both.narrow(1, 0, 1).reshape({3});
  const Tensor variance = both.narrow(1, 1, 1).reshape({3});
  const Tensor x = Tensor::randn({8, 3}, 5);
  const Tensor dense_mean = Tensor::ones({3}, DType::Float16);
  const Tensor dense_variance = Tensor::ones({3}, DType::Float16);
  F::batch_norm(x, mean, variance, Tensor(), Tensor(), true, 0.3, eps);
  F::batch_norm(x, dense_mean, dense_variance, Tensor(), Tensor(), true, 0.3, eps);
  EXPECT_EQ(inputs::doubles(mean), inputs::doubles(dense_mean));
  EXPECT_EQ(inputs::doubles(variance), inputs::doubles(dense_variance));
}
