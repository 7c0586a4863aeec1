#include "nn/batch_norm/accumulate.h"

#include <cstddef>

#include "base/convert.h"
#include "functional/channel_math.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

/// What commit() adds: in the gradient's dtype, or in that of the first one to come.
Tensor prepared(const Parameter& parameter, const Tensor& delta) {
  if (!parameter.defined() || !parameter.requires_grad()) {
    return {};
  }
  const Tensor grad = parameter.grad();
  return channels_to(delta, grad.defined() ? grad.dtype() : parameter.data().dtype());
}

/// Needs no memory. Added in double: one rounding, as if in the dtype.
void commit(const Parameter& parameter, const Tensor& delta) {
  if (!delta.defined()) {
    return;
  }
  const Tensor grad = parameter.grad();
  if (!grad.defined()) {
    parameter.set_grad(delta);
    return;
  }
  count_write(grad);
  if (grad.device() != Device::cpu()) {
    if (can_add_channels(grad)) {
      add_channels(grad, delta);
    } else {
      parameter.accumulate_grad(delta);
    }
    return;
  }
  // Asked once: a loop that asks for each element took a fifth of a small call's both passes.
  const std::int64_t channels = grad.numel();
  const std::int64_t to_step = grad.strides()[0];
  const std::int64_t from_step = delta.strides()[0];
  visit_dtype(grad.dtype(), [&](auto element) {
    using T = decltype(element);
    T* to = static_cast<T*>(grad.raw_data());
    const T* from = static_cast<const T*>(delta.raw_data());
    for (std::int64_t c = 0; c < channels; ++c) {
      T& place = to[c * to_step];
      place = convert<T>(convert<double>(place) + convert<double>(from[c * from_step]));
    }
  });
}

}  // namespace

void accumulate_both(const Parameter& weight, const Tensor& dweight, const Parameter& bias,
                     const Tensor& dbias) {
  const Tensor to_weight = prepared(weight, dweight);
  const Tensor to_bias = prepared(bias, dbias);
  commit(weight, to_weight);
  commit(bias, to_bias);
}

void accumulate_together(const std::vector<Summand>& summands) {
  std::vector<Tensor> deltas;
  for (const Summand& summand : summands) {
    deltas.push_back(prepared(summand.parameter, summand.delta));
  }
  for (std::size_t i = 0; i < summands.size(); ++i) {
    commit(summands[i].parameter, deltas[i]);
  }
}

}  // namespace halnorm::HALNORM_ABI::detail
