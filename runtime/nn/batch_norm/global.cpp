#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/strides.h"
#include "distributed/batch_norm.h"
#include "distributed/redistribute.h"
#include "halnorm/error.h"
#include "halnorm/grad_mode.h"
#include "halnorm/nn/batch_norm.h"
#include "nn/batch_norm/global_parts.h"
#include "nn/batch_norm/layer_call.h"
#include "tensor/impl.h"

/// @file
/// Forward of a global layer.

namespace halnorm::HALNORM_ABI::nn {

namespace {

using detail::as_global;
using detail::Epilogue;
using detail::How;
using detail::is_split_batch;
using detail::LayerCall;
using halnorm::detail::GlobalTrain;
using halnorm::detail::is_distributed_alike;
using halnorm::detail::SharedSums;
using halnorm::detail::Terms;

Tensor as_global_result(const Tensor& y, const Tensor& out, const How& how) {
  return out.defined() ? out : as_global(y, how);
}

/// Whether a global layer computes on it as it is.
bool is_usable(const Sbp& sbp) { return is_split_batch(sbp) || sbp.is_broadcast(); }

}  // namespace

void detail::throw_mixed(const std::string& layer, const std::string& name, bool is_global) {
  const std::string kinds[] = {"local", "global"};
  throw ValueError(layer + ": Got input tensors with inconsistent attributes! " + name + " is " +
                   kinds[is_global ? 1 : 0] + ", wanted a " + kinds[is_global ? 0 : 1] +
                   " tensor like the module's");
}

void detail::check_member(const std::string& layer, const char* name, const Tensor& tensor,
                          const Placement& placement) {
  if (!tensor.defined()) {
    return;
  }
  if (!tensor.is_global()) {
    throw_mixed(layer, name, false);
  }
  if (tensor.placement() != placement) {
    throw ValueError(layer +
                     ": Expected all tensors to be on the same placement, but found at least two "
                     "placements, " +
                     placement.str() + " and " + tensor.placement().str() + " of " + name + "!");
  }
}

void detail::check_alike(const std::string& layer, const char* name, const Tensor& tensor,
                         const halnorm::detail::Distribution& how) {
  check_member(layer, name, tensor, how.placement);
  if (tensor.defined() && !is_distributed_alike(*how_of(tensor), how)) {
    throw ValueError(layer + ": " + name + " of sbp " + tensor.sbp().str() +
                     " has other parts than x of sbp " + how.sbp.str() +
                     ", wanted the same on each rank");
  }
}

void LayerCall::check_global(const Tensor& x, const Tensor& out, const Epilogue& epilogue) const {
  check_input(x);
  check_statistics();
  if (!x.is_global()) {
    throw_mixed(layer_.name(), "x", false);
  }
  const Placement& where = *layer_.placement();
  check_member(layer_.name(), "x", x, where);
  check_member(layer_.name(), "weight", layer_.weight.data(), where);
  check_member(layer_.name(), "bias", layer_.bias.data(), where);
  check_member(layer_.name(), "running_mean", layer_.running_mean, where);
  check_member(layer_.name(), "running_var", layer_.running_var, where);
  check_member(layer_.name(), "num_batches_tracked", layer_.num_batches_tracked, where);
  check_alike(layer_.name(), "out", out, *how_of(x));
  check_alike(layer_.name(), "addend", epilogue.addend, *how_of(x));
}

Tensor LayerCall::compute_global(const Tensor& x, const Tensor& out, const Epilogue& epilogue) {
  if (layer_.placement() == nullptr) {
    throw_mixed(layer_.name(), "x", true);
  }
  if (x.is_global() && x.placement() == *layer_.placement() && !is_usable(x.sbp())) {
    Epilogue redistributed = epilogue;
    if (epilogue.addend.is_global()) {
      redistributed.addend = epilogue.addend.to_global(Sbp::split(0));
    }
    return compute_global(x.to_global(Sbp::split(0)), out, redistributed);
  }
  if (layer_.is_training() || !layer_.running_mean.defined()) {
    return normalize_by_all(x, out, epilogue);
  }
  check_global(x, out, epilogue);
  const How how = how_of(x);
  const Epilogue local{
      .fused = epilogue.fused, .addend = part_of(epilogue.addend), .slope = epilogue.slope};
  return as_global_result(normalize_by_running(part_of(x), part_of(out), local, how), out, how);
}

/// The operands that a rank has ready when the ranks have agreed.
struct LayerCall::Prepared {
  std::int64_t* count = nullptr;
  bool keeps = false;
  Tensor input;                      ///< for the record
  std::optional<GlobalTrain> train;  ///< none if each rank has the whole batch
};

LayerCall::Prepared LayerCall::prepare_global(const Tensor& x, const Tensor& out,
                                              const Epilogue& epilogue, Terms& terms) const {
  check_global(x, out, epilogue);
  terms.add("x", halnorm::detail::to_string(x.shape()) + " " + x.sbp().str());
  terms.add("training", layer_.is_training() ? "yes" : "no");
  Prepared ready;
  ready.count = counter();
  const bool updates =
      layer_.is_training() && layer_.options_.track_running_stats && layer_.running_mean.defined();
  const auto factor = updates ? std::optional(update_factor(ready.count)) : std::nullopt;
  terms.add("batches", ready.count != nullptr ? std::to_string(*ready.count) : "not counted");
  if (x.sbp().is_broadcast()) {
    return ready;
  }
  ready.keeps = saved_.begin(grad_enabled(), layer_.is_training(), nullptr);
  ready.input = ready.keeps ? detail::kept_input(part_of(x), part_of(out)) : Tensor();
  ready.train.emplace(halnorm::detail::GlobalForward{.placement = *layer_.placement(),
                                                     .operation = layer_.name() + ".forward",
                                                     .x = part_of(x),
                                                     .weight = layer_.weight.data(),
                                                     .bias = layer_.bias.data(),
                                                     .running_mean = layer_.running_mean,
                                                     .running_var = layer_.running_var,
                                                     .factor = factor,
                                                     .eps = layer_.options_.eps,
                                                     .fused = epilogue.fused,
                                                     .slope = epilogue.slope,
                                                     .addend = part_of(epilogue.addend),
                                                     .out = part_of(out)});
  ready.train->prepare(terms);
  return ready;
}

Tensor LayerCall::normalize_by_all(const Tensor& x, const Tensor& out, const Epilogue& epilogue) {
  Prepared ready;
  const auto prepare = [&](Terms& terms) -> std::vector<SharedSums*> {
    ready = prepare_global(x, out, epilogue, terms);
    return ready.train ? std::vector<SharedSums*>{&*ready.train} : std::vector<SharedSums*>{};
  };
  halnorm::detail::agree_and_gather(*layer_.placement(), layer_.name() + ".forward", prepare);
  const How how = how_of(x);
  if (!ready.train) {
    const Epilogue local{
        .fused = epilogue.fused, .addend = part_of(epilogue.addend), .slope = epilogue.slope};
    return as_global_result(normalize_by_batch(part_of(x), part_of(out), local, how), out, how);
  }
  auto result = ready.train->run();
  detail::count_forward(ready.count, layer_.num_batches_tracked);
  if (ready.keeps) {
    halnorm::detail::TrainStatistics no_buffers;
    save({ready.input, result.mean, result.invstd, result.y, true, result.count}, epilogue, how,
         no_buffers);
  }
  return as_global_result(result.y, out, how);
}

}  // namespace halnorm::HALNORM_ABI::nn
