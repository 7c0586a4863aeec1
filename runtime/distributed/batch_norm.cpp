#include "distributed/batch_norm.h"

#include <algorithm>
#include <utility>

#include "base/format.h"
#include "base/strides.h"
#include "functional/arguments/check.h"
#include "functional/channel_math.h"
#include "functional/infer.h"
#include "functional/train.h"
#include "halnorm/error.h"
#include "halnorm/functional_fused.h"
#include "plan/execution/invstd.h"
#include "plan/execution/merge_moments.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

using functional::Moments;

std::string dtype_of(const Tensor& tensor) {
  return tensor.defined() ? std::string(name_of(tensor.dtype())) : "none";
}

Tensor host(const Tensor& values) {
  return values.to(Device::cpu()).to(DType::Float64).contiguous();
}

/// Returns the place after the values.
double* write(double* place, const Tensor& values) {
  const Tensor dense = host(values);
  return std::copy_n(dense.data<double>(), dense.numel(), place);
}

/// Room for the sums of each rank.
void reserve(SharedSums& sums, std::int64_t count, const Placement& placement) {
  sums.mine.resize(static_cast<std::size_t>(count));
  sums.all.resize(sums.mine.size() * placement.ranks().size());
}

Tensor scalar(double value) { return Tensor::full({}, value, DType::Float64); }

/// Where the addition and the relu are done: float32 at least, so that y is rounded once.
DType epilogue_dtype(const Tensor& x) {
  return size_of(x.dtype()) < size_of(DType::Float32) ? DType::Float32 : x.dtype();
}

/// The checks of a forward of one process, but for the number of values.
void check_forward(const GlobalForward& c) {
  constexpr bool is_part = true;
  const RunningUpdate update(c.running_mean, c.running_var, c.factor.value_or(0));
  TrainStatistics buffers;
  check_train({c.operation.c_str(), plain_train, c.x, c.weight, c.bias, c.eps, c.out, buffers,
               c.factor ? &update : nullptr,
               c.fused != nullptr ? std::optional(AddRelu{c.addend, c.slope}) : std::nullopt},
              is_part);
}

/// Sums of each rank's values in the order of ranks.
Tensor summed(const std::vector<double>& all, std::size_t ranks, std::size_t stride,
              std::size_t begin, std::size_t channels) {
  const Tensor sum = Tensor::zeros({static_cast<std::int64_t>(channels)}, DType::Float64);
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const double* part = all.data() + rank * stride + begin;
    std::transform(part, part + channels, sum.data<double>(), sum.data<double>(), std::plus<>());
  }
  return sum;
}

}  // namespace

void GlobalTrain::prepare(Terms& terms) {
  const GlobalForward& c = call_;
  check_forward(c);
  terms.add("channels", std::to_string(c.x.shape()[1]));
  terms.add("dtype", dtype_of(c.x));
  terms.add("weight", dtype_of(c.weight));
  terms.add("bias", dtype_of(c.bias));
  terms.add("running statistics", c.factor ? dtype_of(c.running_mean) : "not updated");
  terms.add("factor", c.factor ? python_float(*c.factor) : "none");
  terms.add("eps", python_float(c.eps));
  terms.add("relu", c.fused != nullptr ? "slope " + python_float(c.slope) : "no");
  reserve(*this, 2 * c.x.shape()[1] + 1, c.placement);
  y_ = c.out.defined() || c.fused != nullptr ? c.out
                                             : empty_in_layout(c.x, elementwise_layout_of(c.x));
}

void GlobalTrain::compute() {
  const Moments part = functional::batch_norm_moments(call_.x);
  mine.front() = part.count.item<double>();
  write(write(mine.data() + 1, part.mean), part.m2);
}

Moments GlobalTrain::merged() {
  const auto channels = static_cast<std::int64_t>(mine.size() / 2);
  const Tensor mean = Tensor::zeros({channels}, DType::Float64);
  const Tensor m2 = Tensor::zeros({channels}, DType::Float64);
  HostMoments sum{0, mean.data<double>(), m2.data<double>()};
  for (double* part = all.data(); part != all.data() + all.size(); part += mine.size()) {
    merge_into(sum, {*part, part + 1, part + 1 + channels}, channels);
  }
  return {scalar(sum.count), mean, m2};
}

GlobalForwardResult GlobalTrain::run() {
  const GlobalForward& c = call_;
  const Moments whole = merged();
  const double count = whole.count.item<double>();
  if (count == 1) {
    throw ValueError(c.operation +
                     ": Expected more than 1 value per channel when training, got 1 on all ranks "
                     "together, input size " +
                     to_string(c.x.shape()) + " on this one");
  }
  const Tensor var = whole.m2.clone();
  std::transform(var.data<double>(), var.data<double>() + var.numel(), var.data<double>(),
                 [count](double m2) { return m2 / std::max(count, 1.0); });
  const Device device = c.x.device();
  const Moments there{whole.count, whole.mean.to(device), whole.m2.to(device)};
  const Tensor invstd = invstd_of(var, c.eps).to(device);
  GlobalForwardResult r{normalize(there, invstd), there.mean, invstd, count};
  if (c.factor) {
    functional::update_running_stats(c.running_mean, c.running_var, there, *c.factor);
  }
  return r;
}

Tensor GlobalTrain::normalize(const Moments& whole, const Tensor& invstd) const {
  const GlobalForward& c = call_;
  if (c.fused == nullptr) {
    return functional::batch_norm_elemt(c.x, c.weight, c.bias, whole.mean, invstd, y_);
  }
  const DType dtype = epilogue_dtype(c.x);
  Tensor y =
      functional::batch_norm_elemt(c.x.to(dtype), c.weight, c.bias, whole.mean, invstd, Tensor());
  const Tensor addend = c.addend.defined() ? c.addend.to(dtype) : Tensor();
  // A normalization that changes nothing: (y - 0) / sqrt(1 + 0).
  const Tensor zero = Tensor::zeros(invstd.shape(), parameter_dtype(dtype), c.x.device());
  const Tensor one = Tensor::ones(invstd.shape(), parameter_dtype(dtype), c.x.device());
  const Tensor none;
  const InferRows& rows = c.fused->infer;
  y = infer({rows.function, rows, y, zero, one, none, none, 0.0, y, AddRelu{addend, c.slope}})
          .to(c.x.dtype());
  if (!y_.defined()) {
    return y;
  }
  Tensor out = y_;
  return out.copy_(y);
}

void GlobalGradient::prepare(Terms& terms) {
  const GlobalBackward& c = call_;
  check_gradient(c.operation.c_str(), c.dy, c.x, c.weight);
  terms.add("channels", std::to_string(c.x.shape()[1]));
  terms.add("dtype", dtype_of(c.x));
  terms.add("weight", dtype_of(c.weight));
  terms.add("values per channel", python_float(c.count));
  reserve(*this, 2 * c.x.shape()[1], c.placement);
}

void GlobalGradient::compute() {
  const GlobalBackward& c = call_;
  dy_ = c.dy;
  if (c.y.defined()) {
    dy_ = c.fused->relu_backward(c.dy, c.y, c.slope);
  }
  const auto sums = functional::batch_norm_backward_reduce(dy_, c.x, c.mean, c.invstd, c.weight);
  write(write(mine.data(), sums.sum_dy), sums.sum_dy_xmu);
}

GlobalBackwardResult GlobalGradient::run() {
  const GlobalBackward& c = call_;
  const std::size_t channels = mine.size() / 2;
  const std::size_t ranks = c.placement.ranks().size();
  const Device device = c.x.device();
  const Tensor sum_dy = summed(all, ranks, mine.size(), 0, channels).to(device);
  const Tensor sum_dy_xmu = summed(all, ranks, mine.size(), channels, channels).to(device);
  return {functional::batch_norm_backward_elemt(dy_, c.x, c.mean, c.invstd, c.weight, sum_dy,
                                                sum_dy_xmu, scalar(c.count)),
          c.y.defined() ? dy_ : Tensor(),
          multiply_channels(c.operation.c_str(), sum_dy_xmu, c.invstd), sum_dy};
}

Tensor invstd_of(const Tensor& var, double eps) {
  const Tensor invstd = host(var).clone();
  to_invstd({invstd.data<double>(), static_cast<std::size_t>(invstd.numel())}, 1, eps);
  return invstd.to(var.device());
}

}  // namespace halnorm::HALNORM_ABI::detail
