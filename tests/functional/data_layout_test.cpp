#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "halnorm/explain.h"
#include "halnorm/halnorm.h"

/// @file
/// Results are laid out like x, for any view of channels-last data and every operation. They have
/// the bits that they have for a dense x of the same order, but where large items are taken one by
/// one.

using halnorm::DType;
using halnorm::Shape;
using halnorm::Tensor;
using Doubles = std::vector<double>;
namespace functional = halnorm::functional;

namespace {

/// A permutation of axes from (N, D..., C) to (N, C, D...).
Tensor channels_second(Tensor t) {
  for (auto axis = t.dim() - 1; axis > 1; --axis) {
    t = t.transpose(axis - 1, axis);
  }
  return t;
}

Shape channels_last(const Shape& shape) {
  Shape stored = shape;
  stored.erase(stored.begin() + 1);
  stored.push_back(shape[1]);
  return stored;
}

/// A dense tensor of this shape with its channels innermost.
Tensor new_channels_last(const Shape& shape, DType dtype) {
  return channels_second(Tensor::empty(channels_last(shape), dtype));
}

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

/// Views that from_blob() makes of such memory: shape and strides.
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

bool is_channels_last(const Tensor& t) {
  return t.strides() == new_channels_last(t.shape(), t.dtype()).strides();
}

Tensor dense_copy(const Tensor& t) {
  Tensor copy = new_channels_last(t.shape(), t.dtype());
  copy.copy_(t);
  return copy;
}

struct Results {
  std::vector<std::pair<const char*, Tensor>> data;      ///< laid out like x
  std::vector<std::pair<const char*, Tensor>> channels;  ///< one value each
};

/// Every operation, with `out()` for each of its outputs.
// NOLINTNEXTLINE(readability-function-size): a list
Results all_operations(const Tensor& x, const Tensor& dy, const Tensor& addend,
                       const std::function<Tensor()>& out) {
  const std::int64_t channels = x.shape()[1];
  const DType dtype = x.dtype() == DType::Float64 ? DType::Float64 : DType::Float32;
  const Tensor weight = Tensor::randn({channels}, 11, dtype);
  const Tensor bias = Tensor::randn({channels}, 12, dtype);
  const Tensor mean = Tensor::randn({channels}, 13, dtype);
  const Tensor var = Tensor::full({channels}, 2, dtype);
  const Tensor new_mean = mean.clone();
  const Tensor new_var = var.clone();
  const auto train = functional::batch_norm_train(x, weight, bias, 1e-5, out());
  const auto update =
      functional::batch_norm_train_update(x, new_mean, new_var, weight, bias, 0.1, 1e-5, out());
  const auto moments = functional::batch_norm_moments(x);
  const auto backward =
      functional::batch_norm_backward(dy, x, weight, train.mean, train.invstd, out());
  const auto backward_infer =
      functional::batch_norm_backward_infer(dy, x, weight, mean, var, 1e-5, out());
  const auto sums = functional::batch_norm_backward_reduce(dy, x, train.mean, train.invstd, weight);
  const auto fused = functional::batch_norm_fused_train(x, addend, weight, bias, 1e-5, out());
  const auto fused_backward = functional::batch_norm_fused_backward(
      dy, x, fused.y, weight, fused.mean, fused.invstd, out());
  const auto fused_infer_backward =
      functional::batch_norm_fused_backward_infer(dy, x, fused.y, weight, mean, var, 1e-5, out());
  return {
      {{"train", train.y},
       {"train_update", update.y},
       {"infer", functional::batch_norm_infer(x, mean, var, weight, bias, 1e-5, out())},
       {"elemt", functional::batch_norm_elemt(x, weight, bias, train.mean, train.invstd, out())},
       {"backward", backward.dx},
       {"backward_infer", backward_infer.dx},
       {"backward_elemt",
        functional::batch_norm_backward_elemt(dy, x, train.mean, train.invstd, weight, sums.sum_dy,
                                              sums.sum_dy_xmu, moments.count, out())},
       {"fused_train", fused.y},
       {"fused_infer",
        functional::batch_norm_fused_infer(x, addend, mean, var, weight, bias, 1e-5, out())},
       {"fused_backward", fused_backward.dx},
       {"fused_backward_infer", fused_infer_backward.dx}},
      {{"mean", train.mean},
       {"invstd", train.invstd},
       {"running_mean", new_mean},
       {"running_var", new_var},
       {"moments.mean", moments.mean},
       {"moments.m2", moments.m2},
       {"dweight", backward.dweight},
       {"dbias", backward.dbias},
       {"infer dweight", backward_infer.dweight},
       {"sum_dy", sums.sum_dy},
       {"sum_dy_xmu", sums.sum_dy_xmu},
       {"fused dweight", fused_backward.dweight},
       {"fused infer dbias", fused_infer_backward.dbias},
       {"daddend as numbers", fused_backward.daddend.reshape({fused_backward.daddend.numel()})}}};
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

/// Results of a view are those of dense tensors, in dense tensors or in whatever `out` is.
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

/// By how much two ways of adding up may differ, in units of the largest value.
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

/// Items of 64 KB and more are read and written where they lie, one by one.
TEST_P(DataLayout, LargeItemsInPlace) {
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
  for (const char* function : {"batch_norm_infer", "batch_norm_train", "batch_norm_backward",
                               "batch_norm_backward_infer", "batch_norm_moments"}) {
    EXPECT_NE(halnorm::explain(function, x).find(" on 3 parts, one by one"), std::string::npos)
        << halnorm::explain(function, x);
  }
  const Tensor y = functional::batch_norm_train(x, {}, {}, 1e-5).y;
  functional::batch_norm_train(x, {}, {}, 1e-5, x);
  EXPECT_EQ(x.to_vector<double>(), y.to_vector<double>()) << "in place";
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
