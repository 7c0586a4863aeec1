#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "halnorm/halnorm.h"
#include "support/throws.h"

/// @file
/// Folding into weights: a layer with the folded weights gives the results of the layer and an
/// eval-mode batch normalization after it. The layers are computed here in double.

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;
using Values = std::vector<double>;

namespace {

constexpr std::int64_t out_channels = 3, in_channels = 2, taps = 4;
constexpr double eps = 1e-3;

struct BatchNorm {
  Values mean{0.5, -2, 1e3}, var{2, 1e-4, 9}, weight{1.5, -0.25, 2}, bias{0.125, 3, -1};

  [[nodiscard]] double at(std::size_t c, double x) const {
    return (x - mean[c]) / std::sqrt(var[c] + eps) * weight[c] + bias[c];
  }
};

Tensor tensor(const Values& values, halnorm::Shape shape, DType dtype = DType::Float64) {
  return Tensor::from<double>(values, std::move(shape)).to(dtype);
}

Tensor channels(const Values& values, DType dtype = DType::Float64) {
  return tensor(values, {static_cast<std::int64_t>(values.size())}, dtype);
}

Values ramp(std::size_t count, double first, double step) {
  Values values;
  for (std::size_t i = 0; i < count; ++i) {
    values.push_back(first + step * static_cast<double>(i * i % 17));
  }
  return values;
}

/// One output of each channel: the weights of a channel times x, which has in_channels * taps
/// values. `at` finds the weight of (output channel, input channel, tap).
template <class At>
Values layer(const Values& weights, const Values& bias, const Values& x, At at) {
  Values y;
  for (std::size_t o = 0; o < out_channels; ++o) {
    double sum = bias[o];
    for (std::size_t i = 0; i < in_channels; ++i) {
      for (std::size_t t = 0; t < taps; ++t) {
        sum += weights[at(o, i, t)] * x[i * taps + t];
      }
    }
    y.push_back(sum);
  }
  return y;
}

std::size_t plain(std::size_t o, std::size_t i, std::size_t t) {
  return (o * in_channels + i) * taps + t;
}
std::size_t transposed(std::size_t o, std::size_t i, std::size_t t) {
  return (i * out_channels + o) * taps + t;
}

void expect_same(const Values& got, const Values& wanted, double tolerance) {
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t c = 0; c < got.size(); ++c) {
    EXPECT_NEAR(got[c], wanted[c], tolerance * (1 + std::abs(wanted[c]))) << c;
  }
}

}  // namespace

TEST(FuseWeights, ConvolutionGivesWhatTheTwoLayersGive) {
  const BatchNorm bn;
  const Values w = ramp(out_channels * in_channels * taps, -0.75, 0.125);
  const Values b{0.25, -0.5, 4};
  const Values x = ramp(in_channels * taps, -1, 0.3);
  for (const bool transpose : {false, true}) {
    const auto at = transpose ? transposed : plain;
    Values wanted = layer(w, b, x, at);
    for (std::size_t c = 0; c < wanted.size(); ++c) {
      wanted[c] = bn.at(c, wanted[c]);
    }
    const halnorm::Shape shape = transpose ? halnorm::Shape{in_channels, out_channels, taps}
                                           : halnorm::Shape{out_channels, in_channels, taps};
    const auto fused =
        F::fuse_conv_bn_weights(tensor(w, shape), channels(b), channels(bn.mean), channels(bn.var),
                                eps, channels(bn.weight), channels(bn.bias), transpose);
    EXPECT_EQ(fused.weight.shape(), shape);
    expect_same(layer(fused.weight.to_vector<double>(), fused.bias.to_vector<double>(), x, at),
                wanted, 1e-12);
  }
}

TEST(FuseWeights, LinearWithoutBiasWeightAndBias) {
  const BatchNorm bn;
  const Values w = ramp(out_channels * in_channels * taps, 0.5, -0.0625);
  const Values x = ramp(in_channels * taps, 2, -0.2);
  const auto fused = F::fuse_linear_bn_weights(tensor(w, {out_channels, in_channels * taps}), {},
                                               channels(bn.mean), channels(bn.var), eps, {}, {});
  Values wanted = layer(w, {0, 0, 0}, x, plain);
  for (std::size_t c = 0; c < wanted.size(); ++c) {
    wanted[c] = (wanted[c] - bn.mean[c]) / std::sqrt(bn.var[c] + eps);
  }
  expect_same(layer(fused.weight.to_vector<double>(), fused.bias.to_vector<double>(), x, plain),
              wanted, 1e-12);
}

TEST(FuseWeights, AreRoundedOnceToTheDtypeOfTheWeight) {
  const Values w{1.0 / 3, -2.0 / 7};
  for (const DType dtype : {DType::Float16, DType::BFloat16, DType::Float32}) {
    const Tensor given = tensor(w, {2, 1}, dtype);
    const auto fused = F::fuse_linear_bn_weights(given, {}, channels({0.1, 0.2}, DType::Float32),
                                                 channels({0.7, 0.9}, DType::Float32), eps, {}, {});
    EXPECT_EQ(fused.weight.dtype(), dtype);
    EXPECT_EQ(fused.bias.dtype(), dtype);
    const Values exact = given.to_vector<double>();
    const Values var = channels({0.7, 0.9}, DType::Float32).to_vector<double>();
    const Tensor wanted =
        tensor({exact[0] / std::sqrt(var[0] + eps), exact[1] / std::sqrt(var[1] + eps)}, {2, 1})
            .to(dtype);
    EXPECT_EQ(fused.weight.to_vector<double>(), wanted.to_vector<double>());
  }
}

TEST(FuseWeights, AConstantChannelAndATinyEps) {
  const double tiny = 1e-80;
  const auto fused = F::fuse_linear_bn_weights(tensor({1e-30}, {1, 1}), {}, channels({0}),
                                               channels({0}), tiny, {}, {});
  EXPECT_DOUBLE_EQ(fused.weight.item<double>(), 1e-30 / std::sqrt(tiny));
}

TEST(FuseWeights, ReadsAnyStridesAndChangesNothing) {
  const Tensor whole = tensor(ramp(8, 1, 0.5), {4, 2});
  const Tensor view = whole.transpose(0, 1);  // (2, 4)
  const Values before = whole.to_vector<double>();
  const auto fused =
      F::fuse_linear_bn_weights(view, {}, channels({0, 0}), channels({3, 15}), 1, {}, {});
  const Values values = view.to_vector<double>();
  Values wanted;
  for (std::size_t i = 0; i < values.size(); ++i) {
    wanted.push_back(values[i] / (i < 4 ? 2 : 4));
  }
  EXPECT_EQ(fused.weight.to_vector<double>(), wanted);
  EXPECT_EQ(whole.to_vector<double>(), before);
}

TEST(FuseWeights, BadArgumentsAreNamed) {
  const Tensor w = Tensor::ones({3, 2, 4});
  const Tensor three = Tensor::ones({3});
  const Tensor two = Tensor::ones({2});
  const auto conv = [&](const Tensor& weight, const Tensor& bias, const Tensor& mean,
                        const Tensor& var, double e = eps) {
    return [=] { F::fuse_conv_bn_weights(weight, bias, mean, var, e, {}, {}); };
  };
  expect_throws<halnorm::ValueError>(conv({}, {}, three, three),
                                     {"fuse_conv_bn_weights: conv_w is undefined"});
  expect_throws<halnorm::ShapeError>(conv(w, two, three, three), {"conv_b", "3", "(2,)"});
  expect_throws<halnorm::ShapeError>(conv(w, {}, two, three), {"bn_rm", "3", "(2,)"});
  expect_throws<halnorm::ValueError>(conv(w, {}, three, {}), {"bn_rv is undefined"});
  expect_throws<halnorm::ValueError>(conv(w, {}, three, three, -1), {"eps is -1"});
  expect_throws<halnorm::ShapeError>(conv(three, {}, three, three), {"(3,)", "at least 2 axes"});
  expect_throws<halnorm::DTypeError>(conv(Tensor::zeros({3, 2}, DType::Int64), {}, three, three),
                                     {"conv_w is int64", "floating"});
  expect_throws<halnorm::ShapeError>(
      [&] { F::fuse_linear_bn_weights(w, {}, three, three, eps, {}, {}); }, {"wanted (C, in)"});
}

TEST(FuseWeights, ScaleAndShiftOfALayer) {
  halnorm::nn::BatchNorm1d layer(3, {.eps = eps});
  const BatchNorm bn;
  layer.running_mean.copy_(channels(bn.mean));
  layer.running_var.copy_(channels(bn.var));
  layer.weight.data().copy_(channels(bn.weight));
  layer.bias.data().copy_(channels(bn.bias));
  const auto [scale, shift] = layer.scale_and_shift();
  EXPECT_EQ(scale.dtype(), DType::Float64);
  const Tensor x = tensor({1, 2, 3}, {1, 3});
  const Values y = layer.to_double().eval()(x).to_vector<double>();
  for (std::int64_t c = 0; c < 3; ++c) {
    const auto at = [c](const Tensor& t) { return t.narrow(t.dim() - 1, c, 1).item<double>(); };
    EXPECT_NEAR(at(x) * at(scale) + at(shift), y[static_cast<std::size_t>(c)],
                1e-11 * (1 + std::abs(at(shift))));
  }
  halnorm::nn::BatchNorm1d untracked(3, {.track_running_stats = false});
  expect_throws<halnorm::ValueError>([&] { static_cast<void>(untracked.scale_and_shift()); },
                                     {"scale_and_shift", "running statistics"});
}
