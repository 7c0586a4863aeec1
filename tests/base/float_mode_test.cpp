#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "halnorm/functional_fused.h"
#include "support/cases/element.h"
#include "support/cases/problem.h"
#include "support/float_mode.h"
#include "support/host_loop.h"
#include "support/kernel_test.h"

/// @file
/// The tasks of a loop have the caller's floating-point mode in every thread that runs them.

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;

namespace {

/// A scale so small that the values of x, or their squares, are about the least normal number.
double scale_of(DType dtype) {
  switch (dtype) {
    case DType::Float16:
      return 0x1p-14;
    case DType::Float64:
      return 0x1p-1022;
    default:
      return 0x1p-126;
  }
}

const std::vector<shapes::Extents> spread = {
    {300, 70, 1, "rows in blocks, more than 64 channels"},
    {2000, 3, 1, "many rows of few channels"},
    {16, 130, 33, "channels in groups and a rest"},
    {3, 2, 5003, "long rows of few channels"},
    {70, 5, 7, "short rows as columns"},
};

std::vector<double> scaled(const oracle::Batch& batch, double scale) {
  std::vector<double> values;
  for (const oracle::Real value : batch.values) {
    values.push_back(static_cast<double>(value) * scale);
  }
  return values;
}

/// Runs the loop on the host's threads, which stay in the mode in which they started.
void on_threads(const halnorm::ParallelLoop& loop) {
  std::atomic<int> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      float_mode::set_control(float_mode::control() & ~(float_mode::flush | float_mode::upward));
      const float_mode::Control before = float_mode::control() & float_mode::mode;
      for (int task = next++; task < loop.count(); task = next++) {
        loop.run(task);
        EXPECT_EQ(float_mode::control() & float_mode::mode, before);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

class FloatMode : public KernelTest {
 protected:
  /// All results of the operations on one problem, in a mode.
  [[nodiscard]] std::vector<double> results(const shapes::Extents& extents,
                                            float_mode::Control bits) const {
    Problem p(source(extents), layout(), extents, dtype(), 0);
    const double scale = scale_of(dtype());
    p.set_x(scaled(p.x_values, scale));
    p.set_dy(scaled(p.dy_values, scale));
    const Tensor x = p.x.tensor();
    const Tensor dy = p.dy.tensor();
    const Tensor count =
        Tensor::full({}, static_cast<double>(extents.n * extents.l), DType::Float64);
    std::vector<Tensor> all;
    {
      const float_mode::With mode(bits);
      const float_mode::Control before = float_mode::control() & float_mode::mode;
      all = computed(p, x, dy, count);
      EXPECT_EQ(float_mode::control() & float_mode::mode, before);
    }
    std::vector<double> values;
    for (const Tensor& tensor : all) {
      const std::vector<double> more = inputs::doubles(tensor);
      values.insert(values.end(), more.begin(), more.end());
    }
    return values;
  }

  static std::vector<Tensor> computed(const Problem& p, const Tensor& x, const Tensor& dy,
                                      const Tensor& count) {
    const double eps = 0x1p-240;
    const auto f =
        F::batch_norm_train_update(x, p.running_mean, p.running_var, p.weight, p.bias, 0.1, eps);
    const auto b = F::batch_norm_backward(dy, x, p.weight, f.mean, f.invstd);
    const auto bi =
        F::batch_norm_backward_infer(dy, x, p.weight, p.running_mean, p.running_var, eps);
    const auto m = F::batch_norm_moments(x);
    const auto s = F::batch_norm_backward_reduce(dy, x, f.mean, f.invstd, p.weight);
    const auto t = F::batch_norm_fused_train(x, dy, p.weight, p.bias, eps);
    const auto tb = F::batch_norm_fused_backward(dy, x, t.y, p.weight, f.mean, f.invstd);
    const auto tbi = F::batch_norm_fused_backward_infer(dy, x, t.y, p.weight, p.running_mean,
                                                        p.running_var, eps);
    return {f.y,
            f.mean,
            f.invstd,
            p.running_mean,
            p.running_var,
            b.dx,
            b.dweight,
            b.dbias,
            bi.dx,
            bi.dweight,
            bi.dbias,
            m.mean,
            m.m2,
            s.sum_dy,
            s.sum_dy_xmu,
            t.y,
            tb.dx,
            tb.daddend,
            tb.dweight,
            tbi.dx,
            tbi.dweight,
            F::batch_norm_infer(x, p.running_mean, p.running_var, p.weight, p.bias, eps),
            F::batch_norm_fused_infer(x, dy, p.running_mean, p.running_var, p.weight, p.bias, eps),
            F::batch_norm_elemt(x, p.weight, p.bias, f.mean, f.invstd),
            F::batch_norm_backward_elemt(dy, x, f.mean, f.invstd, p.weight, s.sum_dy, s.sum_dy_xmu,
                                         count)};
  }

  void expect_same_bits_on_threads(float_mode::Control bits) const {
    for (const shapes::Extents& extents : spread) {
      SCOPED_TRACE(describe(extents));
      halnorm::set_num_threads(1);
      const std::vector<double> alone = results(extents, bits);
      halnorm::set_num_threads(4);
      for (int run = 0; run < 2; ++run) {
        EXPECT_TRUE(same_bits(results(extents, bits), alone)) << "run " << run;
      }
      const host_loop::Guard guard(on_threads);
      EXPECT_TRUE(same_bits(results(extents, bits), alone)) << "the host's threads";
    }
  }
};

}  // namespace

TEST_P(FloatMode, FlushToZeroGoesWithTheTasks) { expect_same_bits_on_threads(float_mode::flush); }

TEST_P(FloatMode, RoundingGoesWithTheTasks) { expect_same_bits_on_threads(float_mode::upward); }

/// Without a difference of bits the tests above would hold for any code.
TEST_P(FloatMode, DecidesBits) {
  halnorm::set_num_threads(1);
  const shapes::Extents& extents = spread.front();
  const std::vector<double> usual = results(extents, 0);
  EXPECT_FALSE(same_bits(results(extents, float_mode::upward), usual));
#if !defined(__arm__)
  // Subnormal float16 values are normal in float32, in which kernels compute.
  EXPECT_EQ(same_bits(results(extents, float_mode::flush), usual), dtype() == DType::Float16);
#endif
}

INSTANTIATE_TEST_SUITE_P(Kernels, FloatMode, ::testing::ValuesIn(dense_cases()), name_of_param);
