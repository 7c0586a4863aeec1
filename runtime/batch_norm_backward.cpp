#include <string>

#include "accumulate.h"
#include "batch_norm_saved.h"
#include "channel_pair.h"
#include "device_memory.h"
#include "halnorm/error.h"
#include "halnorm/functional_fused.h"
#include "halnorm/nn/batch_norm.h"
#include "module_path.h"
#include "strided.h"
#include "tensor_impl.h"

namespace halnorm::nn {

namespace {

using halnorm::detail::ChannelPair;

bool takes_gradient(const Parameter& parameter) {
  return parameter.defined() && parameter.requires_grad();
}

/// So that adding the gradients, which comes last, cannot fail half way.
void check_gradient(const char* name, const Parameter& parameter, const Tensor& gradient) {
  if (takes_gradient(parameter) && parameter.data().shape() != gradient.shape()) {
    throw ShapeError(std::string("backward: got a gradient of shape ") +
                     halnorm::detail::to_string(gradient.shape()) + " for " + name + ", wanted " +
                     halnorm::detail::to_string(parameter.data().shape()));
  }
}

/// The gradient on a device that a kernel there may add to; undefined if there is none.
Tensor old_gradient(const char* name, const Parameter& parameter, const Tensor& x) {
  if (x.device() == Device::cpu() || !takes_gradient(parameter)) {
    return {};
  }
  Tensor gradient = parameter.grad();
  const halnorm::Shape channels{x.shape()[1]};
  if (!gradient.defined() || gradient.device() != x.device() || gradient.shape() != channels) {
    return {};
  }
  halnorm::detail::memory_of(gradient)->require_context("backward", name);
  return gradient;
}

functional::BatchNormFusedBackward fused_gradients(const detail::SavedForward& saved,
                                                   const Tensor& dy, const ChannelPair* sums) {
  const Tensor weight = saved.weight.data();
  return saved.batch_statistics
             ? functional::batch_norm_fused_backward(dy, saved.x, saved.y, weight, saved.mean,
                                                     saved.spread, Tensor(), sums)
             : functional::batch_norm_fused_backward_infer(dy, saved.x, saved.y, weight, saved.mean,
                                                           saved.spread, saved.eps);
}

/// daddend is undefined where nothing was added. `sums`: see channel_pair.h.
functional::BatchNormFusedBackward gradients(const detail::SavedForward& saved, const Tensor& dy,
                                             const ChannelPair* sums) {
  if (saved.y.defined()) {
    auto all = fused_gradients(saved, dy, sums);
    if (!saved.has_addend) {
      all.daddend = Tensor();
    }
    return all;
  }
  const Tensor weight = saved.weight.data();
  auto [dx, dweight, dbias] = saved.batch_statistics
                                  ? functional::batch_norm_backward(dy, saved.x, weight, saved.mean,
                                                                    saved.spread, Tensor(), sums)
                                  : functional::batch_norm_backward_infer(
                                        dy, saved.x, weight, saved.mean, saved.spread, saved.eps);
  return {std::move(dx), Tensor(), std::move(dweight), std::move(dbias)};
}

/// The parameters' gradients are added to theirs.
functional::BatchNormFusedBackward differentiate(const detail::SavedForward& saved,
                                                 const Tensor& grad_output) {
  if (!grad_output.defined()) {
    throw ValueError("backward: got an undefined grad_output, wanted one of shape " +
                     halnorm::detail::to_string(saved.x.shape()));
  }
  const bool convert = is_floating(grad_output.dtype()) && grad_output.dtype() != saved.x.dtype();
  const Tensor dweight = old_gradient("weight.grad", saved.weight, saved.x);
  const Tensor dbias = old_gradient("bias.grad", saved.bias, saved.x);
  const ChannelPair sums{dweight, dbias};
  auto result = gradients(saved, convert ? grad_output.to(saved.x.dtype()) : grad_output,
                          dweight.defined() && dbias.defined() ? &sums : nullptr);
  if (!result.dweight.defined()) {
    return result;
  }
  check_gradient("weight", saved.weight, result.dweight);
  check_gradient("bias", saved.bias, result.dbias);
  halnorm::detail::accumulate_both(saved.weight, result.dweight, saved.bias, result.dbias);
  return result;
}

}  // namespace

Tensor BatchNorm::backward(const Tensor& grad_output) {
  return differentiate_latest(grad_output).dx;
}

BatchNorm::InputGradients BatchNorm::differentiate_latest(const Tensor& grad_output) {
  CallFrame frame(*this);
  try {
    auto saved = saved_->pop();
    if (!saved) {
      throw ValueError(name() +
                       ".backward: got no forward to differentiate, wanted one that ran without "
                       "a NoGradGuard and is among the latest " +
                       std::to_string(max_saved_forwards) + " that were not yet differentiated");
    }
    try {
      auto result = differentiate(*saved, grad_output);
      if (saved->batch_statistics) {
        saved_->give_room({std::move(saved->mean), std::move(saved->spread), {}});
      }
      return {std::move(result.dx), std::move(result.daddend)};
    } catch (...) {
      saved_->push(std::move(*saved));
      throw;
    }
  } catch (const Error&) {
    frame.rethrow();
  }
}

}  // namespace halnorm::nn
