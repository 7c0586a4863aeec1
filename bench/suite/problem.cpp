#include "problem.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>

namespace halnorm::bench {
namespace {

/// Uniform in [offset - scale, offset + scale). bench/peers/peer_suite.py has the same.
Tensor uniforms(std::int64_t count, std::uint32_t seed, float offset, float scale) {
  std::mt19937 random(seed);
  const Tensor t = Tensor::empty({count});
  for (float& value : std::span(t.data<float>(), static_cast<std::size_t>(count))) {
    value = offset + scale * (static_cast<float>(random() >> 8U) * 0x1p-23F - 1);
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

/// The elements as float32 on the CPU, whatever the dtype and the device.
class Values {
 public:
  explicit Values(const Tensor& t)
      : t_(t.to(Device::cpu()).to(DType::Float32)), values_(t_.data<float>()) {}
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

Problem::Problem(const BenchShape& shape, DType dtype, Device device)
    : x(uniforms(shape.numel(), 1, 0.5F, 2).to(dtype).to(device)),
      dy(uniforms(shape.numel(), 2, 0, 1).to(dtype).to(device)),
      out(Tensor::zeros({shape.numel()}, dtype, device)),
      weight(uniforms(shape.c, 3, 1, 0.5F).to(device)),
      bias(uniforms(shape.c, 4, 0, 1).to(device)),
      running_mean(uniforms(shape.c, 5, 0, 1).to(device)),
      running_var(uniforms(shape.c, 6, 1.5F, 1).to(device)),
      shape_(shape) {}

const Tensor& Problem::addend() {
  if (!addend_.defined()) addend_ = uniforms(shape_.numel(), 7, 0, 1).to(dtype()).to(x.device());
  return addend_;
}

const Tensor& Problem::second_out() {
  if (!second_out_.defined()) second_out_ = Tensor::zeros(x.shape(), dtype(), x.device());
  return second_out_;
}

Tensor Problem::view(const Tensor& flat, Layout layout) const {
  if (shape_.rank == 2) return flat.reshape({shape_.n, shape_.c});
  if (layout == Layout::Ncl) return flat.reshape({shape_.n, shape_.c, shape_.l});
  return flat.reshape({shape_.n, shape_.l, shape_.c}).transpose(1, 2);
}

void Problem::spoil() { out.fill_(std::numeric_limits<double>::quiet_NaN()); }

ChannelSums Problem::compute_sums(Layout layout, bool fused) {
  const Values data(x), gradients(dy), mask(fused ? addend() : dy);
  const auto count = static_cast<double>(shape_.per_channel());
  const std::vector<double> zeros(static_cast<std::size_t>(shape_.c));
  ChannelSums sums{zeros, zeros, zeros, zeros, zeros, zeros};
  for_each_element(shape_, layout, [&](auto i, auto c) { sums.mean[c] += data[i]; });
  for (double& mean : sums.mean) mean /= count;
  for_each_element(shape_, layout, [&](auto i, auto c) {
    const double centered = data[i] - sums.mean[c];
    const double gradient = fused && mask[i] <= 0 ? 0 : gradients[i];
    sums.invstd[c] += centered * centered;
    sums.dbias[c] += gradient;
    sums.dbias_scale[c] += std::abs(gradient);
    sums.dweight[c] += gradient * centered;
    sums.dweight_scale[c] += std::abs(gradient * centered);
  });
  for (std::size_t c = 0; c < zeros.size(); ++c) {
    sums.invstd[c] = 1.0 / std::sqrt(sums.invstd[c] / count + eps);
    sums.dweight[c] *= sums.invstd[c];
    sums.dweight_scale[c] *= sums.invstd[c];
  }
  return sums;
}

const ChannelSums& Problem::sums(Layout layout, bool fused) {
  auto& cached = sums_.at(static_cast<std::size_t>(layout) * 2 + (fused ? 1 : 0));
  if (!cached) cached = std::make_unique<ChannelSums>(compute_sums(layout, fused));
  return *cached;
}

void Problem::verify_y(const Check& check, bool infer) {
  const auto mean = infer ? running_mean.to_vector<double>() : sums(check.layout).mean;
  auto invstd = infer ? running_var.to_vector<double>() : sums(check.layout).invstd;
  if (infer) {
    for (double& value : invstd) value = 1.0 / std::sqrt(value + eps);
  }
  const Values data(x), got(out), scale(weight), shift(bias), added(check.fused ? addend() : x);
  for_each_element(shape_, check.layout, [&](auto i, auto c) {
    const auto channel = static_cast<std::int64_t>(c);
    const double xhat = (data[i] - mean[c]) * invstd[c];
    double wanted = xhat * scale[channel] + shift[channel];
    if (check.fused) wanted = std::max(0.0, wanted + added[i]);
    const double magnitude = 1.0 + std::abs(xhat) + std::abs(mean[c]) * invstd[c];
    require_close(shape_, "y", i, got[i], wanted, check.tolerance * magnitude);
  });
}

void Problem::verify_dx(const Check& check) {
  const ChannelSums& channel = sums(check.layout, check.fused);
  const auto count = static_cast<double>(shape_.per_channel());
  const Values data(x), gradients(dy), got(out), factor(weight), mask(check.fused ? addend() : dy);
  for_each_element(shape_, check.layout, [&](auto i, auto c) {
    const double xhat = (data[i] - channel.mean[c]) * channel.invstd[c];
    const double gradient = check.fused && mask[i] <= 0 ? 0 : gradients[i];
    const double scale = factor[static_cast<std::int64_t>(c)] * channel.invstd[c];
    const double wanted =
        scale * (gradient - channel.dbias[c] / count - xhat * channel.dweight[c] / count);
    const double bound = check.tolerance * scale * (1.0 + std::abs(gradient) + std::abs(xhat));
    require_close(shape_, "dx", i, got[i], wanted, bound);
  });
}

void Problem::verify_gradients(const Check& check, const Tensor& dweight, const Tensor& dbias) {
  const ChannelSums& all = sums(check.layout, check.fused);
  verify_channels("dbias", dbias, all.dbias, all.dbias_scale, check.tolerance);
  verify_channels("dweight", dweight, all.dweight, all.dweight_scale, check.tolerance);
}

void Problem::verify_channels(std::string_view what, const Tensor& got,
                              const std::vector<double>& wanted, const std::vector<double>& scale,
                              double tolerance) const {
  const auto values = got.to_vector<double>();
  for (std::size_t c = 0; c < wanted.size(); ++c) {
    require_close(shape_, what, static_cast<std::int64_t>(c), values.at(c), wanted[c],
                  tolerance * (1.0 + std::abs(scale[c])));
  }
}

}  // namespace halnorm::bench
