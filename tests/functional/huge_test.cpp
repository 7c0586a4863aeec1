#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <cmath>
#include <cstring>

#include "halnorm/functional.h"
#include "halnorm/kernels.h"
#include "support/cases/inputs.h"
#include "support/kernel_test.h"
#include "support/oracle.h"

/// @file
/// Tests tensors with more elements than 32 bits count. The input repeats one row through a stride
/// of 0, so that its statistics are those of the row, whatever the number of repetitions; only an
/// output takes memory.

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Shape;
using halnorm::Tensor;

namespace {

constexpr std::int64_t C = 3;
constexpr double eps = 1e-5;

/// (rows, C, L) of one (C, L) block.
Tensor repeated(Tensor& block, std::int64_t rows) {
  const std::int64_t length = block.numel() / C;
  return Tensor::from_blob(block.raw_data(), {rows, C, length}, block.dtype(), {0, length, 1});
}

/// Mean and biased variance of a channel of the block, in two passes.
std::pair<double, double> moments_of(const Tensor& view, std::int64_t channel) {
  const std::vector<double> values = view.narrow(0, 0, 1).narrow(1, channel, 1).to_vector<double>();
  double mean = 0;
  for (const double v : values) {
    mean += v / static_cast<double>(values.size());
  }
  double var = 0;
  for (const double v : values) {
    var += (v - mean) * (v - mean) / static_cast<double>(values.size());
  }
  return {mean, var};
}

}  // namespace

TEST(Huge, MomentsOfMoreElementsThan32BitsCount) {
  Tensor block = Tensor::randn({C * 4001}, 1);
  const std::int64_t rows = (std::int64_t{1} << 32) / block.numel() + 2;
  const Tensor x = repeated(block, rows);
  ASSERT_GT(x.numel(), std::int64_t{1} << 32);
  const F::Moments m = F::batch_norm_moments(x);
  const auto count = m.count.item<double>();
  EXPECT_EQ(count, static_cast<double>(rows) * 4001);
  for (std::int64_t c = 0; c < C; ++c) {
    const auto [mean, var] = moments_of(x, c);
    EXPECT_NEAR(m.mean.to_vector<double>()[static_cast<std::size_t>(c)], mean, 1e-6) << c;
    EXPECT_NEAR(m.m2.to_vector<double>()[static_cast<std::size_t>(c)] / count, var, 2e-6 * var)
        << c;
  }
}

TEST(Huge, SumsOfMoreElementsThan32BitsCount) {
  Tensor block = Tensor::randn({C * 4001}, 2);
  const std::int64_t rows = (std::int64_t{1} << 31) / block.numel() + 2;
  const Tensor x = repeated(block, rows);
  ASSERT_GT(x.numel(), std::int64_t{1} << 31);
  const Tensor zero = Tensor::zeros({C}, DType::Float64);
  const Tensor one = Tensor::ones({C}, DType::Float64);
  const auto sums = F::batch_norm_backward_reduce(x, x, zero, one, {});
  for (std::int64_t c = 0; c < C; ++c) {
    const auto [mean, var] = moments_of(x, c);
    const double each = static_cast<double>(rows) * 4001;
    EXPECT_NEAR(sums.sum_dy.to_vector<double>()[static_cast<std::size_t>(c)] / each, mean, 1e-6);
    EXPECT_NEAR(sums.sum_dy_xmu.to_vector<double>()[static_cast<std::size_t>(c)] / each,
                var + mean * mean, 1e-5);
  }
}

TEST(Huge, MoreRowsOfChannelsThan32BitsCount) {
  Tensor row = Tensor::randn({257}, 4);
  const std::int64_t rows = (std::int64_t{1} << 32) / row.numel() + 2;
  const Tensor x = Tensor::from_blob(row.raw_data(), {rows, row.numel()}, DType::Float32, {0, 1});
  const F::Moments m = F::batch_norm_moments(x);
  EXPECT_EQ(m.count.item<double>(), static_cast<double>(rows));
  EXPECT_EQ(m.mean.to_vector<double>(), row.to_vector<double>());  // of equal values, exactly
  EXPECT_EQ(m.m2.to_vector<double>(), std::vector<double>(257, 0.0));
}

/// Forward and backward into one output of 4.3 GB.
TEST(HugeOutput, HoldsTheSameRowFromEndToEnd) {
  if (is_brief()) {
    GTEST_SKIP() << "brief: an emulator takes minutes to write an output of 4.3 GB";
  }
  constexpr std::int64_t length = 21700;
  constexpr std::int64_t rows = 33000;
  Tensor block = Tensor::randn({C * length}, 3, DType::BFloat16);
  const Tensor x = repeated(block, rows);
  ASSERT_GT(x.numel(), std::int64_t{1} << 31);
  Tensor out;
  try {
    out = Tensor::empty({rows, C, length}, DType::BFloat16);
  } catch (const std::bad_alloc&) {
    GTEST_SKIP() << "no memory for an output of " << x.numel() << " elements";
  }
  const auto* bytes = static_cast<const char*>(out.raw_data());
  const std::int64_t row = C * length * 2;
  const std::vector<std::int64_t> others{rows / 3, rows / 2, rows - 2, rows - 1};
  const auto expect_equal_rows = [&](const char* what) {
    for (const std::int64_t i : others) {
      EXPECT_EQ(std::memcmp(bytes, bytes + i * row, static_cast<std::size_t>(row)), 0)
          << what << ", row " << i;
    }
  };
  const auto forward = F::batch_norm_train(x, {}, {}, eps, out);
  expect_equal_rows("y");
  for (std::int64_t c = 0; c < C; ++c) {
    const auto [mean, var] = moments_of(x, c);
    const double invstd = 1 / std::sqrt(var + eps);
    const std::vector<double> values = x.narrow(0, 0, 1).narrow(1, c, 1).to_vector<double>();
    const std::vector<double> y = out.narrow(0, rows - 1, 1).narrow(1, c, 1).to_vector<double>();
    for (std::size_t i = 0; i < y.size(); i += 97) {
      // bfloat16 rounds to 2^-9 of the value.
      EXPECT_NEAR(y[i], (values[i] - mean) * invstd, 0x1p-8 * (std::fabs(y[i]) + 0x1p-8));
    }
  }
  // With non-temporal stores, the place of a row in its cache line decides which elements are
  // stored with a mask. For these the three parts of dx may be added in another order, which
  // matters because they cancel: dy is x.
  F::batch_norm_backward(x, x, {}, forward.mean, forward.invstd, out);
  const std::vector<double> first = out.narrow(0, 0, 1).to_vector<double>();
  for (const std::int64_t i : others) {
    const std::vector<double> other = out.narrow(0, i, 1).to_vector<double>();
    for (std::size_t k = 0; k < other.size(); ++k) {
      ASSERT_NEAR(other[k], first[k], 0x1p-20) << "dx, row " << i << ", element " << k;
    }
  }
  halnorm::set_streaming_threshold(0);
  F::batch_norm_backward(x, x, {}, forward.mean, forward.invstd, out);
  halnorm::set_streaming_threshold(halnorm::default_streaming_threshold);
  expect_equal_rows("dx through the caches");
}

/// The values of a parameter are farther apart than a kernel's indices reach. Three pages of 17 GB
/// of addresses are used.
TEST(Huge, ParametersOutOfAKernelsReach) {
  if constexpr (sizeof(void*) < 8) {
    GTEST_SKIP() << "32-bit addresses";
  } else {
    constexpr std::int64_t apart = std::int64_t{1} << 31;
    constexpr std::size_t bytes = (2 * apart + 1) * sizeof(float);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      GTEST_SKIP() << "no 17 GB of addresses";
    }
    Tensor far = Tensor::from_blob(memory, {C}, DType::Float32, {apart});
    const Tensor near = Tensor::from<double>(std::vector<double>{2, 3, 5}, {C}).to(DType::Float32);
    far.copy_(near);
    const Tensor x = Tensor::randn({4, C, 6}, 3);
    const auto infer = [&](const Tensor& mean, const Tensor& var, const Tensor& w,
                           const Tensor& b) {
      return F::batch_norm_infer(x, mean, var, w, b, eps).to_vector<double>();
    };
    const auto wanted = F::batch_norm_infer(x, near, near, near, near, eps).to_vector<double>();
    for (std::size_t one = 0; one < 4; ++one) {
      std::array<Tensor, 4> operands{near, near, near, near};
      operands.at(one) = far;
      EXPECT_EQ(infer(operands[0], operands[1], operands[2], operands[3]), wanted) << one;
    }
    const auto forward = F::batch_norm_train(x, far, far, eps);
    EXPECT_EQ(forward.y.to_vector<double>(),
              F::batch_norm_train(x, near, near, eps).y.to_vector<double>());
    const auto dx = [&](const Tensor& w) {
      return F::batch_norm_backward(x, x, w, forward.mean, forward.invstd).dx.to_vector<double>();
    };
    EXPECT_EQ(dx(far), dx(near));
    munmap(memory, bytes);
  }
}
