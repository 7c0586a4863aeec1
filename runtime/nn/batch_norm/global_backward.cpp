#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "distributed/batch_norm.h"
#include "distributed/redistribute.h"
#include "halnorm/error.h"
#include "halnorm/nn/batch_norm.h"
#include "nn/batch_norm/accumulate.h"
#include "nn/batch_norm/global_parts.h"
#include "nn/batch_norm/layer_call.h"
#include "tensor/impl.h"

/// @file
/// Backward of global layers.

namespace halnorm::HALNORM_ABI::nn {

using detail::as_global;
using detail::check_alike;
using detail::How;
using detail::how_of;
using detail::part_of;
using detail::throw_mixed;
using halnorm::detail::GlobalGradient;
using halnorm::detail::SharedSums;
using halnorm::detail::TensorAccess;
using halnorm::detail::Terms;

namespace {

/// The gradient of y, distributed like y where it can be. Collective if it is not yet.
Tensor gradient_like(const detail::SavedForward& saved, const Tensor& grad_output) {
  const How& how = saved.distribution;
  if (!how || !grad_output.is_global() || grad_output.placement() != how->placement) {
    return grad_output;
  }
  const Shape& shape = how->shape.empty() ? TensorAccess::of(saved.x).shape : how->shape;
  const bool knows_parts = how->sbp.is_broadcast() || !how->extents.empty();  // see SyncBatchNorm
  return knows_parts && grad_output.shape() == shape
             ? halnorm::detail::redistributed(grad_output, how)
             : grad_output;
}

/// The rank's part of the gradient, in x's dtype.
Tensor checked_gradient(const BatchNorm& layer, const detail::SavedForward& saved,
                        const Tensor& grad_output) {
  const std::string where = layer.name() + ".backward";
  if (!saved.distribution) {
    throw ValueError(where +
                     ": got a forward that the module made when it was local, wanted one of "
                     "the global module");
  }
  if (grad_output.defined() && !grad_output.is_global()) {
    throw_mixed(where, "grad_output", false);
  }
  check_alike(where, "grad_output", grad_output, *saved.distribution);
  const Tensor part = part_of(grad_output);
  detail::check_backward(layer, saved, part);
  return is_floating(part.dtype()) ? part.to(saved.x.dtype()) : part;
}

/// The gradient of a global parameter is global.
void make_gradient_global(const Parameter& parameter) {
  const Tensor grad = parameter.grad();
  if (grad.defined() && !grad.is_global()) {
    parameter.set_grad(as_global(grad, how_of(parameter.data())));
  }
}

/// Of a forward of a split batch, on this rank's part.
halnorm::detail::GlobalBackward backward_call(const detail::SavedForward& saved,
                                              const std::string& operation, const Tensor& dy) {
  const bool by_batch = saved.batch_statistics;
  return {.placement = saved.distribution->placement,
          .operation = operation,
          .dy = dy,
          .x = saved.x,
          .y = saved.y,
          .fused = saved.fused,
          .slope = saved.slope,
          .weight = saved.weight.data(),
          .mean = saved.mean.to(DType::Float64),
          .invstd = by_batch ? saved.invstd_or_var
                             : halnorm::detail::invstd_of(saved.invstd_or_var, saved.eps),
          .count = saved.count};
}

}  // namespace

/// One layer's backward.
struct detail::LayerCall::Backward {
  BatchNorm* layer = nullptr;
  detail::SavedForward saved;
  bool found = false;                   ///< the record
  Tensor dy;                            ///< this rank's part
  std::optional<GlobalGradient> split;  ///< none if each rank has the whole batch

  void take_record(BatchNorm& of) {
    layer = &of;
    found = LayerCall(of).saved_.pop(of.is_training(), saved);
  }
  void give_record_back() noexcept {
    if (found) {
      halnorm::detail::TrainStatistics no_buffers;
      LayerCall(*layer).saved_.push(saved, no_buffers);
    }
  }
  /// Not collective.
  void prepare(const Tensor& gradient, const std::string& operation, Terms& terms) {
    if (!found) {
      LayerCall(*layer).throw_no_forward();
    }
    dy = checked_gradient(*layer, saved, gradient);
    terms.add("mode", layer->is_training() ? "training" : "eval");
    terms.add("sbp", saved.distribution->sbp.str());
    if (is_split_batch(saved.distribution->sbp)) {
      split.emplace(backward_call(saved, operation, dy));
      split->prepare(terms);
    }
  }
  /// Adds the parameters' gradients to `summands`.
  BatchNorm::InputGradients run(std::vector<halnorm::detail::Summand>& summands) {
    auto [dx, daddend, dweight, dbias] = split ? split->run() : detail::local_gradients(saved, dy);
    summands.push_back({saved.weight, dweight});
    summands.push_back({saved.bias, dbias});
    return {as_global(dx, saved.distribution),
            as_global(saved.has_addend ? daddend : Tensor(), saved.distribution)};
  }
};

std::vector<BatchNorm::InputGradients> detail::LayerCall::differentiate_global(
    const Placement& where, const std::string& operation, const std::vector<BatchNorm*>& layers,
    const std::vector<Tensor>& grad_outputs) {
  std::vector<Backward> backwards(layers.size());
  std::vector<Tensor> gradients(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    backwards[i].take_record(*layers[i]);
  }
  try {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      gradients[i] = gradient_like(backwards[i].saved, grad_outputs[i]);
    }
    halnorm::detail::agree_and_gather(where, operation, [&](Terms& terms) {
      std::vector<SharedSums*> sums;
      for (std::size_t i = 0; i < layers.size(); ++i) {
        backwards[i].prepare(gradients[i], operation, terms);
        if (backwards[i].split) {
          sums.push_back(&*backwards[i].split);
        }
      }
      return sums;
    });
    std::vector<BatchNorm::InputGradients> results;
    std::vector<halnorm::detail::Summand> summands;
    for (Backward& backward : backwards) {
      results.push_back(backward.run(summands));
    }
    halnorm::detail::accumulate_together(summands);
    for (const auto& summand : summands) {
      make_gradient_global(summand.parameter);
    }
    return results;
  } catch (...) {
    for (std::size_t i = backwards.size(); i-- > 0;) {
      backwards[i].give_record_back();
    }
    throw;
  }
}

}  // namespace halnorm::HALNORM_ABI::nn
