#include <cmath>
#include <functional>

#include "halnorm/functional_fused.h"
#include "support/cases/range_case.h"
#include "support/fused.h"

// The range that halnorm/functional.h promises, for every operation. Bounds are those of
// support/tolerance.h for each channel by itself. Neither the promise nor the bounds cover errors
// below float32's least normal value, 2^-126; for sums of M terms this is M times as much.

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;
using placement::Layout;
using range_case::Case;
using range_case::expect_close;
using range_case::Scale;

namespace {

constexpr double below = 0x1p-126;

std::vector<shapes::Extents> extents() {
  return {{3, 4, 7, "one kernel"},
          {24, 3, 1, "channels innermost: the form for few values"},
          {40, 3, 2, "folded rows of a few positions"},
          {300, 2, 1, "folded rows of a few channels, beyond the threshold"},
          {2, 2, 600, "rows of a few KB, beyond the threshold"}};
}

std::vector<KernelCase> cases() {
  std::vector<KernelCase> some;
  for (const KernelCase& one : writable_cases()) {
    if (one.layout == Layout::Ncl || one.layout == Layout::Nlc || one.layout == Layout::Nc ||
        one.layout == Layout::Window || one.layout == Layout::Spaced) {
      some.push_back(one);
    }
  }
  return some;
}

class Range : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    halnorm::set_streaming_threshold(4096);
  }
  void TearDown() override {
    halnorm::set_streaming_threshold(halnorm::default_streaming_threshold);
    KernelTest::TearDown();
  }

  /// The checks of an operation, on every scale and shape.
  void for_each_case(const std::function<void(Case&)>& check) const {
    for (const shapes::Extents& shape : extents()) {
      std::size_t turn = 0;
      for (const Scale& scale : range_case::scales(dtype())) {
        if (is_brief() && (++turn + static_cast<std::size_t>(layout())) % 4 != 0) {
          continue;
        }
        SCOPED_TRACE(describe(shape) + ", " + range_case::text(scale));
        Case c(source(shape), layout(), shape, scale);
        check(c);
        if (HasFatalFailure()) {
          return;
        }
      }
    }
  }

  /// y of each channel, (x - mean) * invstd * weight + bias; `fused` also adds and rectifies.
  static void expect_y(const Case& k, const placement::Placed& got, const oracle::Values& mean,
                       const oracle::Values& invstd, bool fused = false) {
    const oracle::Batch all = got.batch();
    for (std::int64_t c = 0; c < k.extents.c; ++c) {
      const auto at = static_cast<std::size_t>(c);
      const oracle::Values w{k.weight[at]};
      const oracle::Batch x = range_case::channel(k.x_values, c);
      oracle::Values y = oracle::normalize(x, {mean[at]}, {invstd[at]}, w, {k.bias[at]});
      oracle::Values capped = y;
      const double most = range_case::largest_of(k.dtype);
      for (oracle::Real& value : capped) {
        value = std::clamp(static_cast<double>(value), -most, most);
      }
      double allowed = tolerance::normalized(k.dtype, capped, {mean[at]}, {invstd[at]}, w) + below;
      if (fused) {
        const oracle::Batch addend = range_case::channel(k.addend_values, c);
        y = fused::add_relu(y, addend);
        allowed += element::roundoff(element::of_parameters(k.dtype)) *
                   (largest(capped) + largest(inputs::real(addend.values)));
      }
      expect_close(range_case::channel(all, c).values, y, allowed,
                   "y of channel " + std::to_string(c), k.dtype);
    }
  }

  /// The error is at most two relative errors of an invstd, and `of_x` of those of the channel's
  /// largest x.
  static void expect_statistic(const Case& k, const Tensor& got, const oracle::Values& want,
                               double of_x, const char* what) {
    const double u = tolerance::relative(k.dtype);
    for (std::size_t c = 0; c < want.size(); ++c) {
      const oracle::Batch x = range_case::channel(k.x_values, static_cast<std::int64_t>(c));
      const double size = static_cast<double>(oracle::magnitude_of(want[c]));
      expect_close({inputs::doubles(got)[c]}, {want[c]},
                   2 * u * size + of_x * u * largest(inputs::real(x.values)) +
                       (got.dtype() == DType::Float64 ? 0 : below),
                   what, got.dtype());
    }
  }

  /// dx, and the sums by the gradients of weight and bias, for given statistics.
  static void expect_gradients(const Case& k, const oracle::Batch& dy, const oracle::Batch& dx,
                               const Tensor& dweight, const Tensor& dbias,
                               const oracle::Values& mean, const oracle::Values& invstd,
                               bool trains) {
    for (std::int64_t c = 0; c < k.extents.c; ++c) {
      const auto at = static_cast<std::size_t>(c);
      const oracle::Values w{k.weight[at]};
      const oracle::Batch one_x = range_case::channel(k.x_values, c);
      const oracle::Batch one_dy = range_case::channel(dy, c);
      const oracle::Running running{{mean[at]}, {1 / (invstd[at] * invstd[at])}};
      const oracle::Statistics batch{
          one_x.per_channel(),
          running.mean,
          {running.variance[0] * static_cast<oracle::Real>(one_x.per_channel())}};
      const oracle::Gradients truth = trains ? oracle::backward(one_dy, one_x, batch, w, 0)
                                             : oracle::backward_infer(one_dy, one_x, running, w, 0);
      const auto allowed =
          tolerance::gradients(k.dtype, one_dy, one_x, {mean[at]}, {invstd[at]}, w, truth);
      const auto count = static_cast<double>(one_x.per_channel());
      const std::string of = " of channel " + std::to_string(c);
      if (!dx.values.empty()) {
        expect_close(range_case::channel(dx, c).values, truth.dx,
                     allowed.dx + below * std::sqrt(count), "dx" + of, k.dtype);
      }
      expect_close({inputs::doubles(dweight)[at]}, truth.dweight, allowed.dweight + below * count,
                   "dweight" + of, dweight.dtype());
      expect_close({inputs::doubles(dbias)[at]}, truth.dbias, allowed.dbias + below * count,
                   "dbias" + of, dbias.dtype());
    }
  }

  static oracle::Values running_invstd(const Case& k) {
    return oracle::invstd_of(inputs::real(k.running_var), k.eps);
  }
};

}  // namespace

TEST_P(Range, OfTraining) {
  for_each_case([](Case& k) {
    const oracle::Statistics batch = oracle::statistics(k.x_values);
    const oracle::Values invstd = batch.invstd(k.eps);
    const Tensor w = k.parameter(k.weight);
    const Tensor b = k.parameter(k.bias);
    for (placement::Placed* to : {&k.out, &k.x}) {
      const auto got = F::batch_norm_train(k.x.tensor(), w, b, k.eps, to->tensor());
      expect_y(k, *to, batch.mean, invstd);
      expect_statistic(k, got.mean, batch.mean, 1, "mean");
      expect_statistic(k, got.invstd, invstd, 0, "invstd");
      k.restore();
    }
  });
}

TEST_P(Range, OfMomentsAndRunningStatistics) {
  for_each_case([](Case& k) {
    const oracle::Statistics batch = oracle::statistics(k.x_values);
    const F::Moments m = F::batch_norm_moments(k.x.tensor());
    expect_statistic(k, m.mean, batch.mean, 1, "mean");
    expect_statistic(k, m.m2, batch.m2, 0, "m2");
    const oracle::Running updated =
        oracle::updated({inputs::real(k.running_mean), inputs::real(k.running_var)}, batch, 0.25);
    for (const bool on_the_way : {false, true}) {
      const Tensor mean = k.parameter(k.running_mean);
      const Tensor var = k.parameter(k.running_var);
      if (on_the_way) {
        F::batch_norm_train_update(k.x.tensor(), mean, var, {}, {}, 0.25, k.eps, k.out.tensor());
      } else {
        F::update_running_stats(mean, var, m, 0.25);
      }
      expect_statistic(k, mean, updated.mean, 1, "running_mean");
      expect_statistic(k, var, updated.variance, 0, "running_var");
    }
  });
}

TEST_P(Range, OfGivenStatistics) {
  for_each_case([](Case& k) {
    const Tensor w = k.parameter(k.weight);
    const Tensor b = k.parameter(k.bias);
    for (placement::Placed* to : {&k.out, &k.x}) {
      F::batch_norm_infer(k.x.tensor(), k.parameter(k.running_mean), k.parameter(k.running_var), w,
                          b, k.eps, to->tensor());
      expect_y(k, *to, inputs::real(k.running_mean), running_invstd(k));
      k.restore();
      F::batch_norm_elemt(k.x.tensor(), w, b, Case::statistic(k.mean), Case::statistic(k.invstd),
                          to->tensor());
      expect_y(k, *to, inputs::real(k.mean), inputs::real(k.invstd));
      k.restore();
    }
  });
}

TEST_P(Range, OfBackward) {
  for_each_case([](Case& k) {
    const Tensor w = k.parameter(k.weight);
    const Tensor mean = Case::statistic(k.mean);
    const Tensor invstd = Case::statistic(k.invstd);
    for (placement::Placed* to : {&k.out, &k.dy}) {
      const auto got =
          F::batch_norm_backward(k.dy.tensor(), k.x.tensor(), w, mean, invstd, to->tensor());
      expect_gradients(k, k.dy_values, to->batch(), got.dweight, got.dbias, inputs::real(k.mean),
                       inputs::real(k.invstd), true);
      k.restore();
      const auto infer =
          F::batch_norm_backward_infer(k.dy.tensor(), k.x.tensor(), w, k.parameter(k.running_mean),
                                       k.parameter(k.running_var), k.eps, to->tensor());
      expect_gradients(k, k.dy_values, to->batch(), infer.dweight, infer.dbias,
                       inputs::real(k.running_mean), running_invstd(k), false);
      k.restore();
    }
  });
}

TEST_P(Range, OfTheHalvesOfBackward) {
  for_each_case([](Case& k) {
    const Tensor w = k.parameter(k.weight);
    const Tensor mean = Case::statistic(k.mean);
    const Tensor invstd = Case::statistic(k.invstd);
    const auto sums = F::batch_norm_backward_reduce(k.dy.tensor(), k.x.tensor(), mean, invstd, w);
    Tensor xhat = sums.sum_dy_xmu.clone();
    for (std::size_t c = 0; c < k.invstd.size(); ++c) {
      xhat.data<double>()[c] *= k.invstd[c];
    }
    expect_gradients(k, k.dy_values, {}, xhat, sums.sum_dy, inputs::real(k.mean),
                     inputs::real(k.invstd), true);
    const Tensor count =
        Tensor::full({}, static_cast<double>(k.x_values.per_channel()), DType::Float64);
    for (placement::Placed* to : {&k.out, &k.dy}) {
      F::batch_norm_backward_elemt(k.dy.tensor(), k.x.tensor(), mean, invstd, w, sums.sum_dy,
                                   sums.sum_dy_xmu, count, to->tensor());
      expect_gradients(k, k.dy_values, to->batch(), sums.dweight, sums.dbias, inputs::real(k.mean),
                       inputs::real(k.invstd), true);
      k.restore();
    }
  });
}

TEST_P(Range, OfFusedForms) {
  for_each_case([](Case& k) {
    const Tensor w = k.parameter(k.weight);
    const Tensor b = k.parameter(k.bias);
    const Tensor mean = k.parameter(k.running_mean);
    const Tensor var = k.parameter(k.running_var);
    const oracle::Statistics batch = oracle::statistics(k.x_values);
    for (placement::Placed* to : {&k.out, &k.x, &k.addend}) {
      F::batch_norm_fused_train(k.x.tensor(), k.addend.tensor(), w, b, k.eps, to->tensor());
      expect_y(k, *to, batch.mean, batch.invstd(k.eps), true);
      k.restore();
      F::batch_norm_fused_infer(k.x.tensor(), k.addend.tensor(), mean, var, w, b, k.eps,
                                to->tensor());
      expect_y(k, *to, inputs::real(k.running_mean), running_invstd(k), true);
      k.restore();
    }
    const oracle::Batch daddend = fused::rectified(k.dy_values, k.y_values);
    for (placement::Placed* to : {&k.out, &k.dy}) {
      const auto got = F::batch_norm_fused_backward(k.dy.tensor(), k.x.tensor(), k.y.tensor(), w,
                                                    Case::statistic(k.mean),
                                                    Case::statistic(k.invstd), to->tensor());
      expect_gradients(k, daddend, to->batch(), got.dweight, got.dbias, inputs::real(k.mean),
                       inputs::real(k.invstd), true);
      k.restore();
      const auto infer = F::batch_norm_fused_backward_infer(
          k.dy.tensor(), k.x.tensor(), k.y.tensor(), w, mean, var, k.eps, to->tensor());
      expect_gradients(k, daddend, to->batch(), infer.dweight, infer.dbias,
                       inputs::real(k.running_mean), running_invstd(k), false);
      k.restore();
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Kernels, Range, ::testing::ValuesIn(cases()), name_of_param);
