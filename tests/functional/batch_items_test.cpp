#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "halnorm/explain.h"
#include "support/every_operation.h"

/// @file
/// Channels-last data with gaps between the items of the batch.

using halnorm::DType;
using halnorm::Shape;
using halnorm::Tensor;
using Doubles = std::vector<double>;
namespace functional = halnorm::functional;
using every_operation::all_operations;
using every_operation::channels_second;
using every_operation::dense_copy;
using every_operation::Results;

namespace {

class BatchItems : public ::testing::TestWithParam<DType> {};

/// The largest difference of two orders of addition, in units of the largest value.
double unit_of(DType dtype) {
  return dtype == DType::Float16    ? 0x1p-10
         : dtype == DType::BFloat16 ? 0x1p-7
         : dtype == DType::Float32  ? 2e-6
                                    : 1e-13;
}

void expect_near(const char* name, const Tensor& got, const Tensor& want, double unit) {
  const Doubles values = got.to_vector<double>();
  const Doubles wanted = want.to_vector<double>();
  ASSERT_EQ(values.size(), wanted.size()) << name;
  double largest = 1;
  for (const double w : wanted) {
    largest = std::max(largest, std::fabs(w));
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_NEAR(values[i], wanted[i], largest * unit) << name << " " << i;
  }
}

/// Items of 64 KB and more are read and written in place, one by one.
TEST_P(BatchItems, AreReadAndWrittenInPlace) {
  const Shape stored{3, 1702, 20};
  const auto view = [&](std::uint64_t seed) {
    return channels_second(Tensor::randn(stored, seed, GetParam())).narrow(2, 1, 1700);
  };
  const Tensor x = view(1);
  const Tensor dy = view(2);
  const Tensor addend = view(3);
  const auto none = [] { return Tensor(); };
  const Results want = all_operations(dense_copy(x), dense_copy(dy), dense_copy(addend), none);
  for (const auto& out : std::vector<std::function<Tensor()>>{none, [&] { return view(4); }}) {
    const Results got = all_operations(x, dy, addend, out);
    for (std::size_t i = 0; i < want.data.size(); ++i) {
      expect_near(want.data[i].first, got.data[i].second, want.data[i].second, unit_of(GetParam()));
    }
    for (std::size_t i = 0; i < want.channels.size(); ++i) {
      expect_near(want.channels[i].first, got.channels[i].second, want.channels[i].second,
                  unit_of(GetParam()));
    }
  }
  for (const char* function :
       {"batch_norm_infer", "batch_norm_train", "batch_norm_backward", "batch_norm_backward_infer",
        "batch_norm_moments", "batch_norm_fused_infer", "batch_norm_fused_train",
        "batch_norm_fused_backward", "batch_norm_fused_backward_infer"}) {
    EXPECT_NE(halnorm::explain(function, x).find(" on 3 parts, one by one"), std::string::npos)
        << halnorm::explain(function, x);
  }
  const Tensor y = functional::batch_norm_train(x, {}, {}, 1e-5).y;
  functional::batch_norm_train(x, {}, {}, 1e-5, x);
  EXPECT_EQ(x.to_vector<double>(), y.to_vector<double>()) << "in place";
}

/// Rows so far apart that the indices of one kernel do not reach an item from end to end: 2^24
/// elements, of which 34 GB of addresses hold one page each.
TEST(BatchItemsFarApart, AreTakenInParts) {
  if constexpr (sizeof(void*) < 8) {
    GTEST_SKIP() << "32-bit addresses";
  } else {
    constexpr std::int64_t n = 2, channels = 64, length = 257, apart = std::int64_t{1} << 24;
    constexpr std::size_t bytes = n * (length + 1) * apart * sizeof(float);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      GTEST_SKIP() << "no " << bytes << " bytes of addresses";
    }
    const Shape shape{n, channels, length};
    Tensor x = Tensor::from_blob(memory, shape, DType::Float32, {(length + 1) * apart, 1, apart});
    x.copy_(Tensor::randn(shape, 1));
    const Tensor dy = Tensor::randn(shape, 2);
    const Tensor addend = Tensor::randn(shape, 3);
    const auto none = [] { return Tensor(); };
    const Results want = all_operations(dense_copy(x), dense_copy(dy), dense_copy(addend), none);
    const Results got = all_operations(x, dense_copy(dy), dense_copy(addend), none);
    for (std::size_t i = 0; i < want.data.size(); ++i) {
      expect_near(want.data[i].first, got.data[i].second, want.data[i].second, 2e-6);
    }
    for (std::size_t i = 0; i < want.channels.size(); ++i) {
      expect_near(want.channels[i].first, got.channels[i].second, want.channels[i].second, 2e-6);
    }
    const Tensor y = functional::batch_norm_train(dense_copy(x), {}, {}, 1e-5).y;
    functional::batch_norm_train(x, {}, {}, 1e-5, x);
    expect_near("in place", x, y, 2e-6);
    munmap(memory, bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(DTypes, BatchItems,
                         ::testing::Values(DType::Float16, DType::BFloat16, DType::Float32,
                                           DType::Float64),
                         [](const auto& one) { return std::string(name_of(one.param)); });

}  // namespace
