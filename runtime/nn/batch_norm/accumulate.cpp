#include "nn/batch_norm/accumulate.h"

#include <cstddef>

#include "functional/channel_math.h"
#include "tensor/impl.h"
#include "tensor/rows.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

constexpr const char* function = "batch_norm_backward";

/// The delta for commit(), in the gradient's dtype or, without a gradient, in the parameter's.
Tensor prepared(const Parameter& parameter, const Tensor& delta) {
  if (!parameter.defined() || !parameter.requires_grad()) {
    return {};
  }
  const Tensor grad = parameter.grad();
  return channels_to(function, delta, grad.defined() ? grad.dtype() : parameter.data().dtype());
}

/// Needs no memory.
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
      add_channels(function, grad, delta);
    } else {
      parameter.accumulate_grad(delta);
    }
    return;
  }
  add_row(row_of(grad), row_of(delta), grad.numel());
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
