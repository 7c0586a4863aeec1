#include <initializer_list>
#include <string>

#include "base/strides.h"
#include "device/memory.h"
#include "functional/arguments/channel_pair.h"
#include "functional/fused_functions.h"
#include "halnorm/error.h"
#include "halnorm/nn/batch_norm.h"
#include "nn/batch_norm/accumulate.h"
#include "nn/batch_norm/layer_call.h"
#include "tensor/impl.h"
#include "tensor/overlap.h"

namespace halnorm::HALNORM_ABI::nn {

namespace {

using halnorm::detail::ChannelPair;
using halnorm::detail::count_write;
using halnorm::detail::TensorAccess;

bool takes_gradient(const Parameter& parameter) {
  return parameter.defined() && parameter.requires_grad();
}

struct NamedTensor {
  const char* name;
  const Tensor& tensor;
};

/// The gradients that a backward adds to; undefined where there is none yet.
struct Sums {
  Tensor weight, bias;

  explicit Sums(const detail::SavedForward& saved)
      : weight(takes_gradient(saved.weight) ? saved.weight.grad() : Tensor()),
        bias(takes_gradient(saved.bias) ? saved.bias.grad() : Tensor()) {}
};

void check_channels(const BatchNorm& layer, const NamedTensor& t, const Tensor& x) {
  const auto& fields = TensorAccess::of(t.tensor);
  const auto& data = TensorAccess::of(x);
  const auto prefix = [&] { return layer.name() + ".backward: " + t.name; };
  if (fields.shape.size() != 1 || fields.shape[0] != data.shape[1]) {
    throw ShapeError(prefix() + " has shape " + halnorm::detail::to_string(fields.shape) +
                     ", wanted (" + std::to_string(data.shape[1]) + ",)");
  }
  if (!is_floating(fields.dtype)) {
    throw DTypeError(prefix() + " is " + std::string(name_of(fields.dtype)) +
                     ", wanted a floating point dtype");
  }
  if (fields.device != data.device) {
    throw DeviceError(prefix() + " is on " + fields.device.str() + ", wanted x's " +
                      data.device.str());
  }
  if (fields.memory) {
    fields.memory->require_context("backward", t.name);
  }
}

/// Each of its elements has a place of its own, apart from `others`.
void check_sum(const BatchNorm& layer, const NamedTensor& sum,
               std::initializer_list<NamedTensor> others) {
  const auto prefix = [&] { return layer.name() + ".backward: " + sum.name; };
  const auto& fields = TensorAccess::of(sum.tensor);
  if (!fields.contiguous && !halnorm::detail::elements_apart(sum.tensor)) {
    throw ShapeError(prefix() + " has strides " + halnorm::detail::to_string(fields.strides) +
                     ", wanted a place of its own for each element");
  }
  for (const NamedTensor& other : others) {
    if (!other.tensor.defined()) {
      continue;
    }
    const auto& used = TensorAccess::of(other.tensor).bytes;  // nearly always elsewhere
    if (used.past > fields.bytes.first && fields.bytes.past > used.first &&
        halnorm::detail::may_overlap(sum.tensor, other.tensor)) {
      throw ShapeError(prefix() + " overlaps " + other.name +
                       " in memory, wanted memory of its own");
    }
  }
}

void check_sums(const BatchNorm& layer, const detail::SavedForward& saved, const Sums& sums,
                const Tensor& dy) {
  const Tensor weight = saved.weight.data();
  const Tensor bias = saved.bias.data();
  if (takes_gradient(saved.bias)) {
    check_channels(layer, {"bias", bias}, saved.x);
  }
  const bool shared = saved.weight.is_same(saved.bias);  // one parameter that takes both sums
  const Tensor none;
  if (sums.weight.defined()) {
    check_channels(layer, {"weight.grad", sums.weight}, saved.x);
    check_sum(layer, {"weight.grad", sums.weight},
              {{"bias.grad", shared ? none : sums.bias},
               {"weight", weight},
               {"bias", bias},
               {"x", saved.x},
               {"y", saved.y},
               {"grad_output", dy}});
  }
  if (sums.bias.defined()) {
    check_channels(layer, {"bias.grad", sums.bias}, saved.x);
    check_sum(
        layer, {"bias.grad", sums.bias},
        {{"weight", weight}, {"bias", bias}, {"x", saved.x}, {"y", saved.y}, {"grad_output", dy}});
  }
}

functional::BatchNormFusedBackward fused_gradients(const detail::SavedForward& saved,
                                                   const Tensor& dy, const ChannelPair* sums) {
  const Tensor weight = saved.weight.data();
  return saved.batch_statistics
             ? saved.fused->backward(dy, saved.x, saved.y, weight, saved.mean, saved.invstd_or_var,
                                     Tensor(), saved.slope, sums)
             : saved.fused->backward_infer(dy, saved.x, saved.y, weight, saved.mean,
                                           saved.invstd_or_var, saved.eps, Tensor(), saved.slope);
}

/// daddend is undefined where nothing was added. `sums`: see channel_pair.h.
functional::BatchNormFusedBackward gradients(const detail::SavedForward& saved, const Tensor& dy,
                                             const ChannelPair* sums) {
  if (saved.fused != nullptr) {
    auto all = fused_gradients(saved, dy, sums);
    if (!saved.has_addend) {
      all.daddend = Tensor();
    }
    return all;
  }
  const Tensor weight = saved.weight.data();
  auto [dx, dweight, dbias] =
      saved.batch_statistics ? functional::batch_norm_backward(dy, saved.x, weight, saved.mean,
                                                               saved.invstd_or_var, Tensor(), sums)
                             : functional::batch_norm_backward_infer(
                                   dy, saved.x, weight, saved.mean, saved.invstd_or_var, saved.eps);
  return {std::move(dx), Tensor(), std::move(dweight), std::move(dbias)};
}

/// The parameters' gradients are added to theirs.
functional::BatchNormFusedBackward differentiate(const BatchNorm& layer,
                                                 const detail::SavedForward& saved,
                                                 const Tensor& grad_output) {
  if (saved.distribution || grad_output.is_global()) {
    throw ValueError(layer.name() + ".backward: got a global " +
                     (saved.distribution ? "forward" : "grad_output") +
                     ", wanted a local one like the module");
  }
  detail::check_backward(layer, saved, grad_output);
  const Sums old(saved);
  const bool convert = is_floating(grad_output.dtype()) && grad_output.dtype() != saved.x.dtype();
  const ChannelPair sums{old.weight, old.bias};
  const bool on_device = saved.x.device() != Device::cpu();
  auto result =
      gradients(saved, convert ? grad_output.to(saved.x.dtype()) : grad_output,
                on_device && old.weight.defined() && old.bias.defined() ? &sums : nullptr);
  if (result.dweight.defined()) {
    halnorm::detail::accumulate_both(saved.weight, result.dweight, saved.bias, result.dbias);
  } else {
    count_write(old.weight);
    count_write(old.bias);
  }
  return result;
}

}  // namespace

void detail::check_backward(const BatchNorm& layer, const SavedForward& saved, const Tensor& dy) {
  if (const char* written = saved.written()) {
    throw ValueError(layer.name() + ".backward: " + written +
                     " was written since its forward, wanted the elements that the forward read");
  }
  if (!dy.defined()) {
    throw ValueError(layer.name() +
                     ".backward: got an undefined grad_output, wanted one of shape " +
                     halnorm::detail::to_string(saved.x.shape()));
  }
  check_sums(layer, saved, Sums(saved), dy);
}

functional::BatchNormFusedBackward detail::local_gradients(const SavedForward& saved,
                                                           const Tensor& dy) {
  return gradients(saved, dy, nullptr);
}

BatchNorm::InputGradients detail::LayerCall::backward(const Tensor& grad_output) {
  if (layer_.placement() != nullptr) {
    return differentiate_global(*layer_.placement(), layer_.name() + ".backward", {&layer_},
                                {grad_output})[0];
  }
  SavedForward saved;
  if (!saved_.pop(layer_.is_training(), saved)) {
    throw_no_forward();
  }
  try {
    auto result = differentiate(layer_, saved, grad_output);
    if (saved.batch_statistics) {
      saved_.give_buffers({std::move(saved.mean), std::move(saved.invstd_or_var), {}});
    }
    return {std::move(result.dx), std::move(result.daddend)};
  } catch (...) {
    halnorm::detail::TrainStatistics no_buffers;
    saved_.push(saved, no_buffers);
    throw;
  }
}

void detail::LayerCall::throw_no_forward() const {
  const char* const modes[] = {"eval", "training"};
  throw ValueError(layer_.name() + ".backward: got no forward in " +
                   modes[layer_.is_training() ? 1 : 0] + " mode to differentiate (and " +
                   std::to_string(saved_.size(!layer_.is_training())) + " in " +
                   modes[layer_.is_training() ? 0 : 1] +
                   " mode), wanted one that ran without a NoGradGuard and is among the latest " +
                   std::to_string(saved_.capacity()) + " that were not yet differentiated");
}

}  // namespace halnorm::HALNORM_ABI::nn
