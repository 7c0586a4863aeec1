#include "problem.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>

namespace halnorm::bench {
namespace {

/// Uniform in [-1, 1): the upper bits of a multiplicative hash. bench/peers/peer_suite.py has the
/// same.
float uniform(std::uint64_t index, std::uint64_t seed) {
  std::uint64_t bits = (index + seed) * 0x9E3779B97F4A7C15ULL;
  bits ^= bits >> 32U;
  bits *= 0xD6E8FEB86659FD93ULL;
  return static_cast<float>(static_cast<std::int64_t>(bits) >> 40) * 0x1p-23F;
}

Tensor uniforms(std::int64_t count, std::uint64_t seed, float offset, float scale) {
  const Tensor t = Tensor::empty({count});
  auto* values = t.data<float>();
  for (std::int64_t i = 0; i < count; ++i) {
    values[i] = offset + scale * uniform(static_cast<std::uint64_t>(i), seed);
  }
  return t;
}

/// Calls visit(index, channel) for each element in the order of memory.
template <class Visit>
void for_each_element(const BenchShape& shape, Layout layout, Visit visit) {
  const bool ncl = layout == Layout::Ncl;
  const std::int64_t outer = ncl ? shape.n : shape.n * shape.l;
  const std::int64_t inner = ncl ? shape.l : 1;
  std::int64_t index = 0;
  for (std::int64_t row = 0; row < outer; ++row) {
    for (std::int64_t c = 0; c < shape.c; ++c) {
      for (std::int64_t l = 0; l < inner; ++l) visit(index++, static_cast<std::size_t>(c));
    }
  }
}

/// The elements as float32, whatever the dtype.
class Values {
 public:
  explicit Values(const Tensor& t) : t_(t.to(DType::Float32)), values_(t_.data<float>()) {}
  double operator[](std::int64_t index) const { return static_cast<double>(values_[index]); }

 private:
  Tensor t_;
  const float* values_;
};

/// A NaN fails too: only a number within the bound passes.
void require_close(const BenchShape& shape, std::string_view what, std::int64_t index, double got,
                   double wanted, double bound) {
  if (std::abs(got - wanted) <= bound) return;
  std::ostringstream message;
  message.precision(9);
  message << "wrong result: " << what << " of " << shape.name() << " at " << index << ": got "
          << got << ", wanted " << wanted;
  throw std::runtime_error(message.str());
}

}  // namespace

Problem::Problem(const BenchShape& shape, DType dtype)
    : x(uniforms(shape.numel(), 1, 0.5F, 2).to(dtype)),
      dy(uniforms(shape.numel(), 2, 0, 1).to(dtype)),
      out(Tensor::zeros({shape.numel()}, dtype)),
      weight(uniforms(shape.c, 3, 1, 0.5F)),
      bias(uniforms(shape.c, 4, 0, 1)),
      running_mean(uniforms(shape.c, 5, 0, 1)),
      running_var(uniforms(shape.c, 6, 1.5F, 1)),
      shape_(shape) {}

const Tensor& Problem::addend() {
  if (!addend_.defined()) addend_ = uniforms(shape_.numel(), 7, 0, 1).to(dtype());
  return addend_;
}

const Tensor& Problem::second_out() {
  if (!second_out_.defined()) second_out_ = Tensor::zeros({shape_.numel()}, dtype());
  return second_out_;
}

Tensor Problem::view(const Tensor& flat, Layout layout) const {
  if (shape_.rank == 2) return flat.reshape({shape_.n, shape_.c});
  if (layout == Layout::Ncl) return flat.reshape({shape_.n, shape_.c, shape_.l});
  return flat.reshape({shape_.n, shape_.l, shape_.c}).transpose(1, 2);
}

void Problem::spoil() { out.fill_(std::numeric_limits<double>::quiet_NaN()); }

std::unique_ptr<ChannelSums> Problem::compute_sums(Layout layout, bool fused) {
  const Values data(x), gradients(dy), mask(fused ? addend() : dy);
  const auto count = static_cast<double>(shape_.per_channel());
  const std::vector<double> zeros(static_cast<std::size_t>(shape_.c));
  auto sums = std::make_unique<ChannelSums>(ChannelSums{zeros, zeros, zeros, zeros, zeros, zeros});
  for_each_element(shape_, layout, [&](auto i, auto c) { sums->mean[c] += data[i]; });
  for (double& mean : sums->mean) mean /= count;
  for_each_element(shape_, layout, [&](auto i, auto c) {
    const double centered = data[i] - sums->mean[c];
    const double gradient = fused && mask[i] <= 0 ? 0 : gradients[i];
    sums->invstd[c] += centered * centered;
    sums->dbias[c] += gradient;
    sums->dbias_scale[c] += std::abs(gradient);
    sums->dweight[c] += gradient * centered;
    sums->dweight_scale[c] += std::abs(gradient * centered);
  });
  for (std::size_t c = 0; c < zeros.size(); ++c) {
    sums->invstd[c] = 1.0 / std::sqrt(sums->invstd[c] / count + eps);
    sums->dweight[c] *= sums->invstd[c];
    sums->dweight_scale[c] *= sums->invstd[c];
  }
  return sums;
}

const ChannelSums& Problem::sums(Layout layout, bool fused) {
  auto& cached = sums_.at(static_cast<std::size_t>(layout) * 2 + (fused ? 1 : 0));
  if (!cached) cached = compute_sums(layout, fused);
  return *cached;
}

void Problem::verify_y(Layout layout, const Scale& mean, const Scale& invstd, double tolerance,
                       bool fused) {
  const Values data(x), got(out), scale(weight), shift(bias), added(fused ? addend() : x);
  for_each_element(shape_, layout, [&](auto i, auto c) {
    const auto channel = static_cast<std::int64_t>(c);
    const double xhat = (data[i] - mean[c]) * invstd[c];
    double wanted = xhat * scale[channel] + shift[channel];
    if (fused) wanted = std::max(0.0, wanted + added[i]);
    const double magnitude = 1.0 + std::abs(xhat) + std::abs(mean[c]) * invstd[c];
    require_close(shape_, "y", i, got[i], wanted, tolerance * magnitude);
  });
}

void Problem::verify_train(Layout layout, double tolerance, bool fused) {
  const ChannelSums& channel = sums(layout);
  verify_y(layout, channel.mean, channel.invstd, tolerance, fused);
}

void Problem::verify_infer(Layout layout, double tolerance, bool fused) {
  auto invstd = running_var.to_vector<double>();
  for (double& value : invstd) value = 1.0 / std::sqrt(value + eps);
  verify_y(layout, running_mean.to_vector<double>(), invstd, tolerance, fused);
}

void Problem::verify_dx(Layout layout, double tolerance, bool fused) {
  const ChannelSums& channel = sums(layout, fused);
  const auto count = static_cast<double>(shape_.per_channel());
  const Values data(x), gradients(dy), got(out), factor(weight), mask(fused ? addend() : dy);
  for_each_element(shape_, layout, [&](auto i, auto c) {
    const double xhat = (data[i] - channel.mean[c]) * channel.invstd[c];
    const double gradient = fused && mask[i] <= 0 ? 0 : gradients[i];
    const double scale = factor[static_cast<std::int64_t>(c)] * channel.invstd[c];
    const double wanted =
        scale * (gradient - channel.dbias[c] / count - xhat * channel.dweight[c] / count);
    const double bound = tolerance * scale * (1.0 + std::abs(gradient) + std::abs(xhat));
    require_close(shape_, "dx", i, got[i], wanted, bound);
  });
}

void Problem::verify_gradients(Layout layout, const std::vector<double>& dweight,
                               const std::vector<double>& dbias, double tolerance, bool fused) {
  const ChannelSums& channel = sums(layout, fused);
  for (std::size_t c = 0; c < dbias.size(); ++c) {
    const auto at = static_cast<std::int64_t>(c);
    require_close(shape_, "dbias", at, dbias[c], channel.dbias[c],
                  tolerance * (1.0 + channel.dbias_scale[c]));
    require_close(shape_, "dweight", at, dweight[c], channel.dweight[c],
                  tolerance * (1.0 + channel.dweight_scale[c]));
  }
}

void Problem::verify_channels(std::string_view what, const std::vector<double>& got,
                              const std::vector<double>& wanted, double tolerance) const {
  for (std::size_t c = 0; c < wanted.size(); ++c) {
    require_close(shape_, what, static_cast<std::int64_t>(c), got.at(c), wanted[c],
                  tolerance * (1.0 + std::abs(wanted[c])));
  }
}

}  // namespace halnorm::bench
