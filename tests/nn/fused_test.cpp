#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <sstream>
#include <vector>

#include "halnorm/nn/fused_batch_norm.h"
#include "nn/fixture.h"
#include "support/kernel_test.h"
#include "support/throws.h"

using fixture::Names;
using fixture::names_of;
using fixture::values;
using halnorm::DType;
using halnorm::DTypeError;
using halnorm::ShapeError;
using halnorm::Tensor;
using halnorm::ValueError;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::BatchNormOptions;
using halnorm::nn::FusedBatchNorm1d;
using halnorm::nn::FusedBatchNorm2d;
using halnorm::nn::FusedBatchNorm3d;
using halnorm::nn::Module;
using Doubles = std::vector<double>;

namespace {

/// relu(a + b), elementwise, in double.
oracle::Values add_relu(const Tensor& a, const Tensor& b) {
  const Doubles left = values(a);
  const Doubles right = values(b);
  oracle::Values sum;
  for (std::size_t i = 0; i < left.size(); ++i) {
    sum.push_back(std::max(0.0, left[i] + right[i]));
  }
  return sum;
}

Tensor where_positive(const Tensor& dy, const Tensor& y) {
  Tensor masked = dy.clone();
  for (std::int64_t i = 0; i < dy.numel(); ++i) {
    masked.data<float>()[i] *= y.data<float>()[i] > 0 ? 1.0F : 0.0F;
  }
  return masked;
}

// The values are about 1, in float32, after a handful of roundings.
constexpr double tolerance = 1e-5;

const Tensor x = Tensor::randn({8, 3, 5}, 1);
const Tensor addend = Tensor::randn({8, 3, 5}, 2);
const Tensor dy = Tensor::randn({8, 3, 5}, 3);

}  // namespace

TEST(FusedBatchNorm, IsBatchNormThenAdditionThenRelu) {
  for (const BatchNormOptions& options :
       {BatchNormOptions{}, BatchNormOptions{.momentum = std::nullopt},
        BatchNormOptions{.affine = false}, BatchNormOptions{.track_running_stats = false}}) {
    FusedBatchNorm1d fused(3, options);
    BatchNorm1d plain(3, options);
    for (const bool training : {true, true, false}) {
      fused.train(training);
      plain.train(training);
      const Tensor y = fused(x, addend);
      expect_near(values(y), add_relu(plain(x), addend), tolerance, "with an addend");
      expect_near(values(fused(x)), add_relu(plain(x), Tensor::zeros({8, 3, 5})), tolerance,
                  "without one");
      if (options.track_running_stats) {
        EXPECT_EQ(fused.num_batches_tracked.item<std::int64_t>(),
                  plain.num_batches_tracked.item<std::int64_t>());
        const Doubles want = values(plain.running_var);
        expect_near(values(fused.running_var), {want.begin(), want.end()}, tolerance, "variance");
      }
    }
  }
}

TEST(FusedBatchNorm, BackwardReachesBothInputs) {
  for (const bool training : {true, false}) {
    FusedBatchNorm1d fused(3);
    BatchNorm1d plain(3);
    fused.train(training);
    plain.train(training);
    const Tensor y = fused(x, addend);
    plain(x);
    const auto got = fused.backward_fused(dy);
    const Tensor passed = where_positive(dy, y);
    const Doubles want = values(plain.backward(passed));
    EXPECT_EQ(values(got.daddend), values(passed));
    expect_near(values(got.dx), {want.begin(), want.end()}, tolerance, "dx");
    const Doubles dweight = values(plain.weight.grad());
    const Doubles dbias = values(plain.bias.grad());
    expect_near(values(fused.weight.grad()), {dweight.begin(), dweight.end()}, 100 * tolerance,
                "dweight, of 40 terms");
    expect_near(values(fused.bias.grad()), {dbias.begin(), dbias.end()}, 100 * tolerance, "dbias");

    fused.zero_grad();
    fused(x, addend);
    EXPECT_EQ(values(fused.backward(dy)), values(got.dx));
  }
}

TEST(FusedBatchNorm, ASlopeMakesItLeaky) {
  FusedBatchNorm1d leaky(3, {}, 0.25);
  BatchNorm1d plain(3);
  for (const bool training : {true, false}) {
    leaky.train(training);
    plain.train(training);
    const Tensor y = leaky(x, addend);
    const Doubles normalized = values(plain(x));
    const Doubles added = values(addend);
    const Doubles given = values(dy);
    oracle::Values want;
    Doubles passed;
    for (std::size_t i = 0; i < normalized.size(); ++i) {
      const double sum = normalized[i] + added[i];
      want.push_back(sum < 0 ? 0.25 * sum : sum);
      passed.push_back(values(y)[i] > 0 ? given[i] : 0.25 * given[i]);
    }
    expect_near(values(y), want, tolerance, "y");
    EXPECT_EQ(values(leaky.backward_fused(dy).daddend), passed);
  }
  const auto copy = leaky.clone();
  EXPECT_EQ(copy->slope(), 0.25);
  EXPECT_NE(copy->str().find(", slope=0.25)"), std::string::npos) << copy->str();
  EXPECT_THROW(leaky.set_slope(-1), ValueError);
  EXPECT_THROW(FusedBatchNorm2d(3, {}, std::nan("")), ValueError);
  EXPECT_EQ(leaky.slope(), 0.25);
  leaky.set_slope(0);
  EXPECT_EQ(leaky.str().find("slope"), std::string::npos);
}

TEST(FusedBatchNorm, WithoutAnAddendThereIsNoGradientOfIt) {
  FusedBatchNorm1d layer(3);
  layer(x);
  const auto got = layer.backward_fused(dy);
  EXPECT_EQ(got.dx.shape(), x.shape());
  EXPECT_FALSE(got.daddend.defined());
}

TEST(FusedBatchNorm, RecordsAreLastInFirstOut) {
  FusedBatchNorm1d layer(3, {.track_running_stats = false});
  layer(x, addend);
  const Doubles first = values(layer.backward(dy));
  layer(x);
  const Doubles second = values(layer.backward(dy));
  layer(x, addend);
  layer(x);
  EXPECT_EQ(values(layer.backward(dy)), second);
  EXPECT_EQ(values(layer.backward(dy)), first);
  expect_throws<ValueError>([&] { layer.backward_fused(dy); },
                            {"FusedBatchNorm1d.backward", "no forward"});
  {
    const halnorm::NoGradGuard guard;
    layer(x, addend);
  }
  expect_throws<ValueError>([&] { layer.backward(dy); }, {"no forward"});
}

TEST(FusedBatchNorm, OutMayBeEitherInput) {
  FusedBatchNorm1d layer(3, {.track_running_stats = false});
  const Doubles want = values(layer(x, addend));
  const auto gradients = layer.backward_fused(dy);
  for (const bool over_x : {true, false}) {
    const Tensor a = x.clone();
    const Tensor b = addend.clone();
    const Tensor& out = over_x ? a : b;
    EXPECT_TRUE(layer(a, b, out).is_same(out));
    EXPECT_EQ(values(out), want);
    EXPECT_EQ(values(layer.backward(dy)), values(gradients.dx)) << "the record has x's values";
  }
}

TEST(FusedBatchNorm, SharesItsStateWithBatchNorm1d) {
  FusedBatchNorm1d fused(3);
  BatchNorm1d plain(3);
  plain(x);
  EXPECT_EQ(names_of(fused.state_dict()), names_of(plain.state_dict()));
  EXPECT_EQ(fused.state_dict().version(""), plain.state_dict().version(""));
  EXPECT_EQ(fused.load_state_dict(plain.state_dict()).str(), "<All keys matched successfully>");
  std::stringstream file;
  fused.save(file);
  BatchNorm1d again(3);
  again.load(file);
  EXPECT_EQ(values(again.running_var), values(plain.running_var));
  EXPECT_EQ(fused.str(),
            "FusedBatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)");
}

TEST(FusedBatchNorm, ClonesAndConverts) {
  FusedBatchNorm1d layer(3);
  layer(x, addend);
  const auto copy = std::dynamic_pointer_cast<FusedBatchNorm1d>(layer.clone());
  ASSERT_NE(copy, nullptr);
  layer.eval();
  copy->eval();
  EXPECT_EQ(values((*copy)(x, addend)), values(layer(x, addend)));
  copy->to_double();
  EXPECT_EQ((*copy)(x.to(DType::Float64), addend.to(DType::Float64)).dtype(), DType::Float64);
}

TEST(FusedBatchNorm, HooksSeeXAndY) {
  FusedBatchNorm1d layer(3);
  layer.eval();
  const Tensor zeros = Tensor::zeros({8, 3, 5});
  layer.register_forward_pre_hook([&](Module&, const Tensor&) { return zeros; });
  Tensor seen;
  layer.register_forward_hook([&](Module&, const Tensor& input, const Tensor& output) {
    EXPECT_TRUE(input.is_same(zeros));
    seen = output;
    return Tensor();
  });
  const Tensor y = layer(x, addend);
  EXPECT_TRUE(y.is_same(seen));
  expect_near(values(y), add_relu(zeros, addend), tolerance, "x was replaced");
}

TEST(FusedBatchNorm, AFailedCallChangesNothing) {
  FusedBatchNorm1d layer(3);
  layer(x, addend);
  const Doubles variance = values(layer.running_var);
  const auto expect_unchanged = [&] {
    EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 1);
    EXPECT_EQ(values(layer.running_var), variance);
  };
  expect_throws<ShapeError>(
      [&] {
        layer(x, Tensor::ones({8, 3, 4}));
      },
      {"addend", "(8, 3, 4)", "(8, 3, 5)"});
  expect_unchanged();
  expect_throws<DTypeError>([&] { layer(x, addend.to(DType::Float64)); }, {"addend", "float64"});
  expect_unchanged();
  expect_throws<ShapeError>(
      [&] {
        layer(Tensor::ones({2, 3, 1, 1}), addend);
      },
      {"FusedBatchNorm1d: expected 2D or 3D input (got 4D input)"});
  expect_throws<ValueError>(
      [&] {
        layer(Tensor::ones({1, 3}), Tensor::ones({1, 3}));
      },
      {"Expected more than 1 value per channel"});
  expect_unchanged();
  expect_throws<ShapeError>(
      [&] {
        layer.backward_fused(Tensor::ones({8, 3}));
      },
      {"dy", "(8, 3)", "(8, 3, 5)"});
  EXPECT_FALSE(layer.weight.grad().defined());
  EXPECT_NO_THROW(layer.backward_fused(dy)) << "the record is still there";
}

TEST(FusedBatchNorm, OfImagesAndVolumes) {
  const auto check = [](auto&& fused, auto&& plain, const halnorm::Shape& shape) {
    const Tensor input = Tensor::randn(shape, 4);
    const Tensor added = Tensor::randn(shape, 5);
    for (const bool training : {true, false}) {
      fused.train(training);
      plain.train(training);
      expect_near(values(fused(input, added)), add_relu(plain(input), added), tolerance, "y");
      const Tensor out = Tensor::empty(shape);
      EXPECT_TRUE(fused(input, added, out).is_same(out));
      expect_near(values(out), add_relu(plain(input), added), tolerance, "out");
    }
    EXPECT_EQ(fused.backward_fused(Tensor::ones(shape)).daddend.shape(), shape);
    EXPECT_EQ(names_of(fused.state_dict()), names_of(plain.state_dict()));
    EXPECT_EQ(fused.clone()->str(), fused.str());
    expect_throws<ShapeError>([&] { fused(x, addend); }, {fused.name(), "got 3D input"});
  };
  check(FusedBatchNorm2d(3), halnorm::nn::BatchNorm2d(3), {2, 3, 4, 5});
  check(FusedBatchNorm3d(3), halnorm::nn::BatchNorm3d(3), {2, 3, 2, 3, 4});
}
