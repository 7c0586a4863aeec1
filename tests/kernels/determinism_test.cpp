#include <cstring>
#include <thread>

#include "halnorm/functional_fused.h"
#include "support/cases/problem.h"
#include "support/kernel_test.h"

namespace F = halnorm::functional;
using halnorm::Tensor;

namespace {

constexpr double eps = 1e-5;

/// Shapes that are distributed over threads by channels, by rows and by both, with uneven parts.
const std::vector<shapes::Extents> spread = {
    {300, 70, 1, "rows in blocks, more than 64 channels"},
    {20000, 3, 1, "many rows of few channels"},
    {16, 130, 33, "channels in groups and a rest"},
    {3, 2, 10007, "long rows of few channels"},
    {16, 96, 49, "a usual image layer"},
};

class Determinism : public KernelTest {
 protected:
  /// Everything that the passes over one problem compute.
  [[nodiscard]] std::vector<double> results(const shapes::Extents& extents) const {
    Problem p(source(extents), layout(), extents, dtype(), 1e2);
    std::vector<double> all;
    const auto keep = [&](const Tensor& tensor) {
      const std::vector<double> values = inputs::doubles(tensor);
      all.insert(all.end(), values.begin(), values.end());
    };
    const Tensor x = p.x.tensor();
    const Tensor dy = p.dy.tensor();
    const auto forward =
        F::batch_norm_train_update(x, p.running_mean, p.running_var, p.weight, p.bias, 0.1, eps);
    const auto backward = F::batch_norm_backward(dy, x, p.weight, forward.mean, forward.invstd);
    const auto moments = F::batch_norm_moments(x);
    const auto sums = F::batch_norm_backward_reduce(dy, x, forward.mean, forward.invstd, p.weight);
    const auto fused = F::batch_norm_fused_train(x, dy, p.weight, p.bias, eps);
    const auto of_fused =
        F::batch_norm_fused_backward(dy, x, fused.y, p.weight, forward.mean, forward.invstd);
    for (const Tensor& tensor :
         {fused.y, of_fused.dx, of_fused.daddend, of_fused.dweight, forward.y, forward.mean,
          forward.invstd, p.running_mean, p.running_var, backward.dx, backward.dweight,
          backward.dbias, moments.mean, moments.m2, sums.sum_dy, sums.sum_dy_xmu,
          F::batch_norm_infer(x, p.running_mean, p.running_var, p.weight, p.bias, eps)}) {
      keep(tensor);
    }
    return all;
  }
};

}  // namespace

TEST_P(Determinism, TheSameBitsForAnyNumberOfThreads) {
  for (const shapes::Extents& extents : spread) {
    SCOPED_TRACE(describe(extents));
    halnorm::set_num_threads(1);
    const std::vector<double> alone = results(extents);
    for (const int threads : each_of<int>({2, 3, 8}, extents)) {
      halnorm::set_num_threads(threads);
      EXPECT_TRUE(same_bits(results(extents), alone)) << threads << " threads";
    }
  }
}

TEST_P(Determinism, TheSameBitsOnEveryRun) {
  halnorm::set_num_threads(3);
  for (const shapes::Extents& extents : spread) {
    SCOPED_TRACE(describe(extents));
    const std::vector<double> first = results(extents);
    for (int run = 0; run < 3; ++run) {
      EXPECT_TRUE(same_bits(results(extents), first));
    }
  }
}

TEST_P(Determinism, TheSameBitsOnAHundredRuns) {
  const shapes::Extents extents{300, 70, 1, "rows in blocks, more than 64 channels"};
  SCOPED_TRACE(describe(extents));
  halnorm::set_num_threads(3);
  Problem p(source(extents), layout(), extents, dtype(), 1e2);
  const Tensor x = p.x.tensor();
  const Tensor dy = p.dy.tensor();
  const auto run = [&] {
    const auto forward = F::batch_norm_train(x, p.weight, p.bias, eps);
    const auto backward = F::batch_norm_backward(dy, x, p.weight, forward.mean, forward.invstd);
    return std::vector<Tensor>{forward.y,   forward.mean,     forward.invstd,
                               backward.dx, backward.dweight, backward.dbias};
  };
  const std::vector<Tensor> first = run();
  for (int i = 0; i < 100; ++i) {
    const std::vector<Tensor> again = run();
    for (std::size_t t = 0; t < first.size(); ++t) {
      const auto bytes = static_cast<std::size_t>(first[t].numel()) * size_of(first[t].dtype());
      ASSERT_EQ(std::memcmp(again[t].raw_data(), first[t].raw_data(), bytes), 0) << i << ", " << t;
    }
  }
}

TEST_P(Determinism, TheSameBitsFromManyCallersAtOnce) {
  const shapes::Extents extents = spread.front();
  SCOPED_TRACE(describe(extents));
  const std::vector<double> alone = results(extents);
  std::vector<std::vector<double>> together(4);
  std::vector<std::thread> callers;
  for (std::vector<double>& result : together) {
    callers.emplace_back([&] { result = results(extents); });
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
  for (const std::vector<double>& result : together) {
    EXPECT_TRUE(same_bits(result, alone));
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, Determinism, ::testing::ValuesIn(dense_cases()), name_of_param);
