#include "problem.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>
#include <string>

namespace halnorm::bench {
namespace {

/// Uniform in [-1, 1): the upper bits of a multiplicative hash. Fast enough for 10^8 elements and
/// the same in every program.
float uniform(std::uint64_t index, std::uint64_t seed) {
  std::uint64_t bits = (index + seed) * 0x9E3779B97F4A7C15ULL;
  bits ^= bits >> 32U;
  bits *= 0xD6E8FEB86659FD93ULL;
  return static_cast<float>(static_cast<std::int64_t>(bits) >> 40) * 0x1p-23F;
}

/// Calls visit(index, channel) for each element in memory order.
template <class Visit>
void for_each_element(const BenchShape& shape, Layout layout, Visit visit) {
  const auto channels = static_cast<std::size_t>(shape.c);
  const auto length = static_cast<std::size_t>(shape.l);
  const auto samples = static_cast<std::size_t>(shape.n);
  std::size_t index = 0;
  if (layout == Layout::Ncl) {
    for (std::size_t row = 0; row < samples * channels; ++row) {
      const std::size_t c = row % channels;
      for (std::size_t l = 0; l < length; ++l) visit(index++, c);
    }
  } else {
    for (std::size_t row = 0; row < samples * length; ++row) {
      for (std::size_t c = 0; c < channels; ++c) visit(index++, c);
    }
  }
}

std::unique_ptr<ChannelSums> compute_sums(const BenchShape& shape, Layout layout,
                                          const DataBuffer& x, const DataBuffer& dy) {
  const auto channels = static_cast<std::size_t>(shape.c);
  const auto count = static_cast<double>(shape.per_channel());
  const std::vector<double> zeros(channels);
  auto sums = std::make_unique<ChannelSums>(ChannelSums{zeros, zeros, zeros, zeros, zeros, zeros});
  for_each_element(shape, layout, [&](std::size_t i, std::size_t c) {
    sums->mean[c] += static_cast<double>(x[i]);
  });
  for (double& mean : sums->mean) mean /= count;
  for_each_element(shape, layout, [&](std::size_t i, std::size_t c) {
    const double centered = static_cast<double>(x[i]) - sums->mean[c];
    const double gradient = static_cast<double>(dy[i]);
    sums->invstd[c] += centered * centered;
    sums->dbias[c] += gradient;
    sums->dbias_scale[c] += std::abs(gradient);
    sums->dweight[c] += gradient * centered;
    sums->dweight_scale[c] += std::abs(gradient * centered);
  });
  for (std::size_t c = 0; c < channels; ++c) {
    sums->invstd[c] = 1.0 / std::sqrt(sums->invstd[c] / count + eps);
    sums->dweight[c] *= sums->invstd[c];
    sums->dweight_scale[c] *= sums->invstd[c];
  }
  return sums;
}

[[noreturn]] void fail(const BenchShape& shape, std::string_view what, std::size_t index,
                       double got, double wanted) {
  std::ostringstream message;
  message.precision(9);
  message << "wrong result: " << what << " of " << shape.name() << " at " << index << ": got "
          << got << ", wanted " << wanted;
  throw std::runtime_error(message.str());
}

/// A NaN fails too: the comparison is written so that only a number within the bound passes.
bool close(double got, double wanted, double bound) { return std::abs(got - wanted) <= bound; }

}  // namespace

Problem::Problem(const BenchShape& shape, Element element)
    : x(element, static_cast<std::size_t>(shape.numel())),
      dy(element, x.size()),
      out(element, x.size()),
      weight(static_cast<std::size_t>(shape.c)),
      bias(weight.size()),
      running_mean(weight.size()),
      running_var(weight.size()),
      shape_(shape) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    x.set(i, 0.5F + 2.0F * uniform(i, 1));
    dy.set(i, uniform(i, 2));
  }
  for (std::size_t c = 0; c < weight.size(); ++c) {
    weight[c] = 1.0F + 0.5F * uniform(c, 3);
    bias[c] = uniform(c, 4);
    running_mean[c] = uniform(c, 5);
    running_var[c] = 1.5F + uniform(c, 6);
  }
}

const ChannelSums& Problem::sums(Layout layout) {
  auto& cached = sums_.at(static_cast<std::size_t>(layout));
  if (!cached) cached = compute_sums(shape_, layout, x, dy);
  return *cached;
}

void Problem::verify_train(Layout layout, double tolerance) {
  const ChannelSums& channel = sums(layout);
  for_each_element(shape_, layout, [&](std::size_t i, std::size_t c) {
    const double xhat = (static_cast<double>(x[i]) - channel.mean[c]) * channel.invstd[c];
    const double wanted = xhat * static_cast<double>(weight[c]) + static_cast<double>(bias[c]);
    const double got = static_cast<double>(out[i]);
    const double magnitude = 1.0 + std::abs(xhat) + std::abs(channel.mean[c]) * channel.invstd[c];
    if (!close(got, wanted, tolerance * magnitude)) fail(shape_, "training y", i, got, wanted);
  });
}

void Problem::verify_infer(Layout layout, double tolerance) {
  for_each_element(shape_, layout, [&](std::size_t i, std::size_t c) {
    const double invstd = 1.0 / std::sqrt(static_cast<double>(running_var[c]) + eps);
    const double mean = static_cast<double>(running_mean[c]);
    const double xhat = (static_cast<double>(x[i]) - mean) * invstd;
    const double wanted = xhat * static_cast<double>(weight[c]) + static_cast<double>(bias[c]);
    const double got = static_cast<double>(out[i]);
    const double magnitude = 1.0 + std::abs(xhat) + std::abs(mean) * invstd;
    if (!close(got, wanted, tolerance * magnitude)) fail(shape_, "inference y", i, got, wanted);
  });
}

void Problem::verify_backward(Layout layout, const float* dweight, const float* dbias,
                              double tolerance) {
  const ChannelSums& channel = sums(layout);
  const auto count = static_cast<double>(shape_.per_channel());
  for (std::size_t c = 0; c < weight.size(); ++c) {
    const double got_dbias = static_cast<double>(dbias[c]);
    const double got_dweight = static_cast<double>(dweight[c]);
    const double bound = tolerance * (1.0 + channel.dbias_scale[c]);
    if (!close(got_dbias, channel.dbias[c], bound)) {
      fail(shape_, "dbias", c, got_dbias, channel.dbias[c]);
    }
    if (!close(got_dweight, channel.dweight[c], tolerance * (1.0 + channel.dweight_scale[c]))) {
      fail(shape_, "dweight", c, got_dweight, channel.dweight[c]);
    }
  }
  for_each_element(shape_, layout, [&](std::size_t i, std::size_t c) {
    const double xhat = (static_cast<double>(x[i]) - channel.mean[c]) * channel.invstd[c];
    const double gradient = static_cast<double>(dy[i]);
    const double scale = static_cast<double>(weight[c]) * channel.invstd[c];
    const double wanted =
        scale * (gradient - channel.dbias[c] / count - xhat * channel.dweight[c] / count);
    const double got = static_cast<double>(out[i]);
    const double bound = tolerance * scale * (1.0 + std::abs(gradient) + std::abs(xhat));
    if (!close(got, wanted, bound)) fail(shape_, "dx", i, got, wanted);
  });
}

}  // namespace halnorm::bench
