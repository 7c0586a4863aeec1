#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "halnorm/halnorm.h"
#include "support/every_operation.h"

/// @file
/// Results are laid out like x, for any view of channels-last data and every operation. Their bits
/// are those of a dense x of the same order, except if large items are processed one by one.

using halnorm::DType;
using halnorm::Shape;
using halnorm::Tensor;
using Doubles = std::vector<double>;
namespace functional = halnorm::functional;
using every_operation::all_operations;
using every_operation::channels_second;
using every_operation::dense_copy;
using every_operation::is_channels_last;
using every_operation::new_channels_last;
using every_operation::Results;

namespace {

Tensor random(const Shape& stored, std::uint64_t seed, DType dtype) {
  return Tensor::randn(stored, seed, dtype);
}

/// (N, C, ...) views with their channels innermost, whose rows do not all follow each other.
// NOLINTNEXTLINE(readability-function-size): a list
std::vector<std::pair<std::string, std::function<Tensor(std::uint64_t, DType)>>> views() {
  const auto last = [](const Shape& stored, std::uint64_t seed, DType dtype) {
    return channels_second(random(stored, seed, dtype));
  };
  return {
      {"dense",
       [=](auto s, auto t) {
         return last({5, 7, 33}, s, t);
       }},
      {"narrow in L",
       [=](auto s, auto t) {
         return last({5, 9, 33}, s, t).narrow(2, 1, 7);
       }},
      {"narrow in N",
       [=](auto s, auto t) {
         return last({8, 7, 33}, s, t).narrow(0, 2, 5);
       }},
      {"narrow in C",
       [=](auto s, auto t) {
         return last({5, 7, 40}, s, t).narrow(1, 3, 33);
       }},
      {"narrow in L and C",
       [=](auto s, auto t) {
         return last({5, 9, 40}, s, t).narrow(1, 3, 33).narrow(2, 1, 7);
       }},
      {"few channels",
       [=](auto s, auto t) {
         return last({64, 40, 3}, s, t).narrow(2, 1, 33);
       }},
      {"many rows",
       [=](auto s, auto t) {
         return last({3, 500, 20}, s, t).narrow(2, 7, 400);
       }},
      {"time first",
       [](auto s, auto t) {
         return random({7, 5, 33}, s, t).transpose(0, 1).transpose(1, 2);  // (L, N, C) in memory
       }},
      {"narrow in W",
       [=](auto s, auto t) {
         return last({3, 4, 6, 17}, s, t).narrow(3, 1, 4);
       }},
      {"narrow in H",
       [=](auto s, auto t) {
         return last({3, 6, 4, 17}, s, t).narrow(2, 1, 4);
       }},
      {"H and W exchanged",
       [=](auto s, auto t) {
         return last({3, 6, 4, 17}, s, t).transpose(2, 3);
       }},
      {"narrow in D",
       [=](auto s, auto t) {
         return last({2, 5, 3, 4, 9}, s, t).narrow(2, 2, 3);
       }},
      {"narrow in D and W",
       [=](auto s, auto t) {
         return last({2, 5, 3, 4, 9}, s, t).narrow(2, 2, 3).narrow(4, 0, 3);
       }},
      {"every second channel",
       [=](auto s, auto t) {
         return last({5, 7, 66}, s, t).reshape({5, 33, 2, 7}).narrow(2, 0, 1).reshape({5, 33, 7});
       }},
  };
}

/// The shape and the strides of views that from_blob() makes of this memory.
struct Strided {
  const char* name;
  Shape shape;
  std::vector<std::int64_t> strides;
  std::int64_t first;
};
const std::vector<Strided>& strided() {
  static const std::vector<Strided> all = {
      {"repeated batch", {4, 20, 6}, {0, 1, 20}, 0},
      {"repeated values", {4, 20, 6}, {20, 1, 0}, 0},
      {"rows backwards", {4, 20, 6}, {120, 1, -20}, 100},
      {"batch backwards", {4, 20, 6}, {-120, 1, 20}, 360},
      {"channels backwards", {4, 20, 6}, {120, -1, 20}, 19},
  };
  return all;
}

void expect_same(const Results& got, const Results& want) {
  for (std::size_t i = 0; i < want.data.size(); ++i) {
    EXPECT_EQ(got.data[i].second.to_vector<double>(), want.data[i].second.to_vector<double>())
        << want.data[i].first;
  }
  for (std::size_t i = 0; i < want.channels.size(); ++i) {
    EXPECT_EQ(got.channels[i].second.to_vector<double>(),
              want.channels[i].second.to_vector<double>())
        << want.channels[i].first;
  }
}

/// The results of a view are those of dense tensors, in dense tensors or in any `out`.
void check(const Tensor& x, const Tensor& dy, const Tensor& addend) {
  const auto none = [] { return Tensor(); };
  const Results want = all_operations(dense_copy(x), dense_copy(dy), dense_copy(addend), none);
  const Results got = all_operations(x, dy, addend, none);
  for (const auto& [name, y] : got.data) {
    EXPECT_TRUE(is_channels_last(y)) << name;
  }
  expect_same(got, want);
  const auto row_major = [&] { return Tensor::empty(x.shape(), x.dtype()); };
  expect_same(all_operations(x, dy, addend, row_major), want);
  const auto with_gaps = [&] {
    Shape larger = x.shape();
    larger.back() += 2;
    return new_channels_last(larger, x.dtype())
        .narrow(static_cast<std::int64_t>(larger.size()) - 1, 1, x.shape().back());
  };
  expect_same(all_operations(x, dy, addend, with_gaps), want);
}

class DataLayout : public ::testing::TestWithParam<DType> {};

TEST_P(DataLayout, AnyViewOfChannelsLastData) {
  for (const auto& [name, view] : views()) {
    SCOPED_TRACE(name);
    check(view(1, GetParam()), view(2, GetParam()), view(3, GetParam()));
  }
}

TEST_P(DataLayout, AnyStridesAroundTheChannels) {
  const Tensor memory = Tensor::randn({480}, 1, GetParam());
  const auto size = static_cast<std::int64_t>(halnorm::size_of(GetParam()));
  for (const Strided& view : strided()) {
    SCOPED_TRACE(view.name);
    auto* first = static_cast<char*>(memory.raw_data()) + view.first * size;
    const Tensor x = Tensor::from_blob(first, view.shape, GetParam(), view.strides);
    check(x, Tensor::randn(view.shape, 2, GetParam()), Tensor::randn(view.shape, 3, GetParam()));
  }
}

TEST_P(DataLayout, RowMajorStaysRowMajor) {
  const Tensor wide = Tensor::randn({5, 6, 4, 9}, 1, GetParam());
  for (const Tensor& x : {wide.narrow(3, 1, 7), wide.narrow(2, 1, 2), wide.narrow(1, 1, 4)}) {
    const auto y = functional::batch_norm_train(x, {}, {}, 1e-5).y;
    EXPECT_TRUE(y.is_contiguous());
    EXPECT_EQ(y.to_vector<double>(),
              functional::batch_norm_train(x.contiguous(), {}, {}, 1e-5).y.to_vector<double>());
  }
}

TEST(DataLayoutOfModules, ReachesForwardAndBackward) {
  const Tensor image = channels_second(Tensor::randn({3, 6, 5, 8}, 1));
  const Tensor x = image.narrow(3, 1, 3);
  halnorm::nn::BatchNorm2d layer(8);
  for (const bool training : {true, false}) {
    layer.train(training);
    EXPECT_TRUE(is_channels_last(layer(x)));
    EXPECT_TRUE(is_channels_last(layer.backward(Tensor::ones(x.shape()))));
  }
}

INSTANTIATE_TEST_SUITE_P(DTypes, DataLayout,
                         ::testing::Values(DType::Float16, DType::BFloat16, DType::Float32,
                                           DType::Float64),
                         [](const auto& one) { return std::string(name_of(one.param)); });

}  // namespace
