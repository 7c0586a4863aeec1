#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "distributed/ranks.h"
#include "halnorm/halnorm.h"

/// @file
/// A layer whose batch is split over ranks gives the results of one process on the whole batch.

namespace {

using halnorm::DType;
using halnorm::Placement;
using halnorm::Sbp;
using halnorm::Shape;
using halnorm::Tensor;
namespace nn = halnorm::nn;

struct Case {
  const char* name;
  Shape shape;
  DType dtype = DType::Float32;
  nn::BatchNormOptions options = {};
  bool fused = false;
  bool channels_last = false;
  double mean = 0;
};

std::ostream& operator<<(std::ostream& stream, const Case& c) { return stream << c.name; }

/// The batch over so many ranks: evenly, and with a rank that has nothing and one that has a row.
std::vector<std::vector<std::int64_t>> splits(std::int64_t batch, int ranks) {
  std::vector<std::int64_t> even(static_cast<std::size_t>(ranks), batch / ranks);
  even.back() += batch % ranks;
  std::vector<std::int64_t> uneven(static_cast<std::size_t>(ranks), 1);
  uneven[0] = 0;
  uneven.back() = batch - std::accumulate(uneven.begin(), uneven.end() - 1, std::int64_t{0});
  if (ranks == 1) {
    return {even};
  }
  return {even, uneven};
}

std::shared_ptr<nn::BatchNorm> make_layer(const Case& c, std::uint64_t seed) {
  const std::int64_t channels = c.shape[1];
  std::shared_ptr<nn::BatchNorm> layer;
  if (c.fused) {
    layer = std::make_shared<nn::FusedBatchNorm1d>(channels, c.options);
  } else if (c.shape.size() == 4) {
    layer = std::make_shared<nn::BatchNorm2d>(channels, c.options);
  } else if (c.shape.size() == 5) {
    layer = std::make_shared<nn::BatchNorm3d>(channels, c.options);
  } else {
    layer = std::make_shared<nn::BatchNorm1d>(channels, c.options);
  }
  if (c.dtype == DType::Float64) {
    layer->to_double();
  }
  if (layer->weight.defined()) {
    layer->weight.data().copy_(ranks::normal({channels}, seed, 1));
    layer->bias.data().copy_(ranks::normal({channels}, seed + 1));
  }
  return layer;
}

Tensor batch(const Case& c, std::uint64_t seed) {
  Shape shape = c.shape;
  if (!c.channels_last) {
    return ranks::normal(shape, seed, c.mean, c.dtype);
  }
  std::swap(shape[1], shape[2]);
  return ranks::normal(shape, seed, c.mean, c.dtype).transpose(1, 2);
}

/// Two training steps and an eval step, each with its backward.
struct Results {
  std::vector<Tensor> data;        ///< y, dx, daddend
  std::vector<Tensor> statistics;  ///< running ones, gradients of parameters
  std::int64_t batches = 0;
};

using Place = std::function<Tensor(const Tensor& whole)>;

Results train(const Case& c, nn::BatchNorm& layer, const Place& place) {
  Results r;
  for (const bool training : {true, true, false}) {
    layer.train(training);
    const std::uint64_t seed = 10 + 10 * r.data.size();
    const Tensor x = place(batch(c, seed));
    const Tensor dy = place(batch(c, seed + 1));
    if (auto* fused = dynamic_cast<nn::FusedBatchNorm1d*>(&layer)) {
      r.data.push_back((*fused)(x, place(batch(c, seed + 2))));
      const nn::FusedGradients gradients = fused->backward_fused(dy);
      r.data.push_back(gradients.dx);
      r.data.push_back(gradients.daddend);
    } else {
      r.data.push_back(layer(x));
      r.data.push_back(layer.backward(dy));
    }
  }
  r.statistics = {layer.running_mean, layer.running_var, layer.weight.grad(), layer.bias.grad()};
  r.batches =
      layer.num_batches_tracked.defined() ? layer.num_batches_tracked.item<std::int64_t>() : -1;
  return r;
}

/// Relative distance of two neighbours.
double spacing(DType dtype) {
  switch (dtype) {
    case DType::Float16:
      return 0x1p-10;
    case DType::BFloat16:
      return 0x1p-7;
    case DType::Float32:
      return 0x1p-23;
    default:
      return 0x1p-52;
  }
}

class Parity : public testing::TestWithParam<std::tuple<Case, int>> {};

TEST_P(Parity, WithOneProcess) {
  const auto& [c, count] = GetParam();
  const auto single = make_layer(c, 1);
  const Results wanted = train(c, *single, [](const Tensor& whole) { return whole; });
  // The tolerance of y and dx is 1e-6 (float64: 1e-13), or the distance of two neighbours if
  // larger.
  const double data = std::max(c.dtype == DType::Float64 ? 1e-13 : 1e-6, spacing(c.dtype));
  const double statistics =
      4 * spacing(c.dtype == DType::Float64 ? DType::Float64 : DType::Float32);
  for (const auto& lengths : splits(c.shape[0], count)) {
    ranks::run(count, [&, &c = c](const Placement& placement) {
      const auto layer = make_layer(c, 1 + 7 * static_cast<std::uint64_t>(ranks::rank(placement)));
      layer->to_global(placement, Sbp::broadcast());
      const Results got = train(c, *layer, [&](const Tensor& whole) {
        return ranks::split_rows(whole, lengths, placement);
      });
      for (std::size_t i = 0; i < wanted.data.size(); ++i) {
        ASSERT_EQ(got.data[i].shape(), c.shape);
        EXPECT_EQ(got.data[i].sbp(), Sbp::split(0));
        ranks::expect_near(
            got.data[i].to_local(),
            ranks::rows(wanted.data[i], lengths, static_cast<std::size_t>(ranks::rank(placement))),
            data, "data " + std::to_string(i));
      }
      for (std::size_t i = 0; i < wanted.statistics.size(); ++i) {
        EXPECT_EQ(got.statistics[i].defined() && !got.statistics[i].is_global(), false);
        // Gradients are sums of many terms of either sign.
        const double sums = std::sqrt(static_cast<double>(c.shape[0]));
        ranks::expect_near(got.statistics[i], wanted.statistics[i],
                           (i < 2 ? 1 : 4 * sums) * statistics, "statistics " + std::to_string(i));
      }
      EXPECT_EQ(got.batches, wanted.batches);
    });
  }
}

const nn::BatchNormOptions cumulative{.momentum = std::nullopt};
const nn::BatchNormOptions plain{.affine = false};
const nn::BatchNormOptions untracked{.track_running_stats = false};
const nn::BatchNormOptions bare{.affine = false, .track_running_stats = false};

INSTANTIATE_TEST_SUITE_P(
    Ranks, Parity,
    testing::Combine(
        testing::Values(
            Case{.name = "NC", .shape = {23, 5}}, Case{.name = "NCL", .shape = {17, 6, 9}},
            Case{.name = "NLC", .shape = {17, 6, 9}, .channels_last = true},
            Case{.name = "far_mean", .shape = {23, 5, 4}, .mean = 1000},
            Case{.name = "f64", .shape = {23, 5}, .dtype = DType::Float64},
            Case{.name = "f16", .shape = {23, 5, 3}, .dtype = DType::Float16},
            Case{.name = "bf16", .shape = {23, 5}, .dtype = DType::BFloat16},
            Case{.name = "cumulative", .shape = {23, 5}, .options = cumulative},
            Case{.name = "not_affine", .shape = {23, 5}, .options = plain},
            Case{.name = "untracked", .shape = {23, 5}, .options = untracked},
            Case{.name = "bare", .shape = {23, 5}, .options = bare},
            Case{.name = "fused", .shape = {23, 5, 4}, .fused = true},
            Case{.name = "fused_f16", .shape = {23, 5}, .dtype = DType::Float16, .fused = true},
            Case{.name = "batch_norm_2d", .shape = {9, 3, 4, 5}},
            Case{.name = "batch_norm_3d", .shape = {9, 3, 2, 4, 3}},
            Case{.name = "wide", .shape = {64, 300}}),
        testing::Values(1, 2, 3, 4, 7)),
    [](const auto& test) {
      return std::string(std::get<0>(test.param).name) + "_" +
             std::to_string(std::get<1>(test.param)) + "_ranks";
    });

}  // namespace
