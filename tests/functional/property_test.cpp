#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include "support/cases/element.h"
#include "support/cases/random_case.h"
#include "support/kernel_test.h"
#include "support/tolerance.h"

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;

namespace {

using Operation = RandomCase::Operation;

constexpr std::uint64_t parts = 4;  ///< tests per target, for ctest to run side by side
constexpr std::uint64_t most_per_part = 1400;
constexpr std::uint64_t all_cases = parts * most_per_part;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct Part {
  std::string target;
  std::uint64_t index;
};

std::vector<Part> every_part() {
  std::vector<Part> all;
  for (const std::string& target : halnorm::targets()) {
    for (std::uint64_t i = 0; i < parts; ++i) {
      all.push_back({target, i});
    }
  }
  return all;
}

/// Prints the case instead of its bytes, some of which are padding.
void PrintTo(const Part& part, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << part.target << ", part " << part.index;
}

/// Random cases against the oracle, under the tolerances that hold everywhere.
class Property : public ::testing::TestWithParam<Part> {
 protected:
  void SetUp() override { halnorm::force_target(GetParam().target); }
  void TearDown() override {
    halnorm::force_target("");
    halnorm::set_num_threads(0);
  }
};

/// A float64 result that is stored as float32 is rounded once more; expect_near() adds the rounding
/// to 16 bits.
double of_storing(DType stored, DType computed, const oracle::Values& values) {
  return stored == DType::Float32 && computed == DType::Float64 ? 0x1p-24 * largest(values) : 0.0;
}

void expect_y(RandomCase& c, const Tensor& y, DType computed, const oracle::Values& mean,
              const oracle::Values& invstd) {
  const oracle::Values truth = oracle::normalize(c.x_values, mean, invstd, c.w, c.b);
  EXPECT_EQ(y.dtype(), c.dtype);
  expect_near(inputs::doubles(y), truth,
              tolerance::normalized(computed, truth, mean, invstd, c.w) +
                  of_storing(c.dtype, computed, truth),
              "y", c.dtype);
}

void expect_gradients(const RandomCase& c, const F::BatchNormBackward& got, DType computed,
                      const oracle::Gradients& truth, const oracle::Values& mean,
                      const oracle::Values& invstd) {
  const auto allowed =
      tolerance::gradients(computed, c.dy_values, c.x_values, mean, invstd, c.w, truth);
  expect_near(inputs::doubles(got.dx), truth.dx,
              allowed.dx + of_storing(c.dtype, computed, truth.dx), "dx", c.dtype);
  const DType stored = got.dweight.dtype();
  EXPECT_TRUE(!c.weight.defined() || stored == c.affine_dtype);
  expect_near(inputs::doubles(got.dweight), truth.dweight,
              allowed.dweight + of_storing(stored, computed, truth.dweight), "dweight", stored);
  expect_near(inputs::doubles(got.dbias), truth.dbias,
              allowed.dbias + of_storing(stored, computed, truth.dbias), "dbias", stored);
}

/// The error of a mean is relative to its channel's standard deviation, and to itself as stored;
/// that of a variance to itself. `base` is the relative error of an invstd.
void expect_statistics(const std::vector<double>& mean, const std::vector<double>& spread_squared,
                       const oracle::Running& want, const oracle::Statistics& batch, double base,
                       DType stored) {
  const double rounding = element::roundoff(stored);
  for (std::size_t c = 0; c < mean.size(); ++c) {
    const auto size = static_cast<double>(oracle::magnitude_of(batch.mean[c]) +
                                          oracle::magnitude_of(want.mean[c]));
    const auto spread =
        static_cast<double>(oracle::root_of(batch.m2[c] / static_cast<oracle::Real>(batch.count)));
    // If blocks are merged, the difference of two means has the roundings of both.
    const double of_means = spread > 0 ? 4 * 0x1p-53 * size / spread : 0.0;
    const double relative = 2 * (base + of_means) + 2 * rounding;
    EXPECT_NEAR(
        mean[c], static_cast<double>(want.mean[c]),
        base * spread + (4 * 0x1p-53 + 2 * rounding) * size + element::half_subnormal(stored));
    EXPECT_NEAR(spread_squared[c], static_cast<double>(want.variance[c]),
                relative * static_cast<double>(want.variance[c]) + element::half_subnormal(stored));
  }
}

void check_train(RandomCase& c) {
  const oracle::Statistics batch = oracle::statistics(c.x_values);
  const bool update = c.operation == Operation::train_update;
  const DType computed = c.computed(update);
  const Tensor target = c.target(c.x);
  const auto got = update ? F::batch_norm_train_update(c.x.tensor(), c.running_mean, c.running_var,
                                                       c.weight, c.bias, c.factor, c.eps, target)
                          : F::batch_norm_train(c.x.tensor(), c.weight, c.bias, c.eps, target);
  expect_y(c, got.y, computed, batch.mean, batch.invstd(c.eps));
  if (update) {
    expect_statistics(inputs::doubles(c.running_mean), inputs::doubles(c.running_var),
                      oracle::updated(c.running, batch, c.factor), batch,
                      tolerance::relative(computed), c.running_dtype);
  }
}

void check_infer(RandomCase& c) {
  const auto before = inputs::doubles(c.running_var);
  const Tensor y = F::batch_norm_infer(c.x.tensor(), c.running_mean, c.running_var, c.weight,
                                       c.bias, c.eps, c.target(c.x));
  expect_y(c, y, c.computed(true), c.running.mean, oracle::invstd_of(c.running.variance, c.eps));
  EXPECT_TRUE(same_bits(inputs::doubles(c.running_var), before));
}

void check_backward(RandomCase& c) {
  const oracle::Statistics batch = oracle::statistics(c.x_values);
  const oracle::Gradients truth = oracle::backward(c.dy_values, c.x_values, batch, c.w, c.eps);
  const auto saved = F::batch_norm_train(c.x.tensor(), c.weight, c.bias, c.eps);
  F::BatchNormBackward got;
  if (c.operation == Operation::backward) {
    got = F::batch_norm_backward(c.dy.tensor(), c.x.tensor(), c.weight, saved.mean, saved.invstd,
                                 c.target(c.dy));
  } else {
    const auto sums = F::batch_norm_backward_reduce(c.dy.tensor(), c.x.tensor(), saved.mean,
                                                    saved.invstd, c.weight);
    const Tensor count = Tensor::full({}, static_cast<double>(batch.count), DType::Float64);
    got = {
        F::batch_norm_backward_elemt(c.dy.tensor(), c.x.tensor(), saved.mean, saved.invstd,
                                     c.weight, sums.sum_dy, sums.sum_dy_xmu, count, c.target(c.dy)),
        sums.dweight, sums.dbias};
  }
  // Without a weight the backward sees no float64 parameter.
  const DType computed = c.weight.defined()          ? c.computed(false)
                         : c.dtype == DType::Float64 ? DType::Float64
                                                     : DType::Float32;
  expect_gradients(c, got, computed, truth, batch.mean, batch.invstd(c.eps));
}

void check_backward_infer(RandomCase& c) {
  c.bias = Tensor();
  const auto got = F::batch_norm_backward_infer(
      c.dy.tensor(), c.x.tensor(), c.weight, c.running_mean, c.running_var, c.eps, c.target(c.dy));
  expect_gradients(c, got, c.computed(true),
                   oracle::backward_infer(c.dy_values, c.x_values, c.running, c.w, c.eps),
                   c.running.mean, oracle::invstd_of(c.running.variance, c.eps));
}

void check_moments(RandomCase& c) {
  const oracle::Statistics batch = oracle::statistics(c.x_values);
  const F::Moments got = F::batch_norm_moments(c.x.tensor());
  const DType computed = c.dtype == DType::Float64 ? DType::Float64 : DType::Float32;
  expect_statistics(inputs::doubles(got.mean), inputs::doubles(got.m2), {batch.mean, batch.m2},
                    batch, tolerance::relative(computed), DType::Float64);
}

void check_elemt(RandomCase& c) {
  const oracle::Values invstd = oracle::invstd_of(c.running.variance, c.eps);
  const Tensor y = F::batch_norm_elemt(
      c.x.tensor(), c.weight, c.bias,
      inputs::channels({c.running.mean.begin(), c.running.mean.end()}, DType::Float64),
      inputs::channels({invstd.begin(), invstd.end()}, DType::Float64), c.target(c.x));
  expect_y(c, y, c.computed(false), c.running.mean, invstd);
}

void check(RandomCase& c) {
  switch (c.operation) {
    case Operation::train:
    case Operation::train_update:
      check_train(c);
      break;
    case Operation::infer:
      check_infer(c);
      break;
    case Operation::backward:
    case Operation::split_backward:
      check_backward(c);
      break;
    case Operation::backward_infer:
      check_backward_infer(c);
      break;
    case Operation::moments:
      check_moments(c);
      break;
    case Operation::elemt:
      check_elemt(c);
      break;
  }
}

}  // namespace

TEST_P(Property, HoldsForRandomCases) {
  const std::uint64_t seed = from_environment("HALNORM_TEST_SEED", 20250101);
  // CI runs fewer cases on an emulated CPU.
  const std::uint64_t cases = from_environment("HALNORM_TEST_CASES", most_per_part);
  const std::uint64_t first = GetParam().index * most_per_part;
  const std::uint64_t past = first + std::min(cases, most_per_part);
  const std::uint64_t only = from_environment("HALNORM_TEST_CASE", all_cases);
  RecordProperty("seed", std::to_string(seed));
  std::printf("seed %llu, cases %llu to %llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(first), static_cast<unsigned long long>(past - 1));
  for (std::uint64_t i = first; i < past && !HasFailure(); ++i) {
    if (only != all_cases && i != only) {
      continue;
    }
    RandomCase c(seed * 0x9e3779b97f4a7c15 + i);
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    SCOPED_TRACE(c.str() + "\nrepeat with HALNORM_TEST_SEED=" + std::to_string(seed) +
                 " HALNORM_TEST_CASE=" + std::to_string(i) +
                 " halnorm_tests --gtest_filter=" + test->test_suite_name() + "." + test->name());
    halnorm::set_num_threads(c.threads);
    check(c);
    for (const RandomView* view : {&c.x, &c.dy, &c.out}) {
      EXPECT_TRUE(view->surroundings_intact()) << view->str();
    }
    const bool x_is_out =
        c.in_place && (c.operation == Operation::train || c.operation == Operation::train_update ||
                       c.operation == Operation::infer || c.operation == Operation::elemt);
    EXPECT_TRUE(x_is_out || same_bits(c.x.values(), c.x_values.values)) << "x was written";
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Property, ::testing::ValuesIn(every_part()),
                         [](const auto& part) {
                           return part.param.target + "_" + std::to_string(part.param.index);
                         });
