#pragma once

#include <memory>
#include <string>

#include "halnorm/distributed.h"
#include "halnorm/tensor.h"
#include "tensor/impl.h"

/// @file
/// The parts of global tensors in a layer, and the checks of both passes.

namespace halnorm::HALNORM_ABI::nn::detail {

using How = std::shared_ptr<const halnorm::detail::Distribution>;

inline How how_of(const Tensor& global) {
  return halnorm::detail::TensorAccess::of(global).distribution;
}

/// This rank's part, undefined of an undefined tensor.
inline Tensor part_of(const Tensor& global) {
  return global.defined() ? global.to_local() : global;
}

inline Tensor as_global(const Tensor& part, const How& how) {
  return part.defined() ? halnorm::detail::TensorAccess::distributed(part, how) : part;
}

inline bool is_split_batch(const Sbp& sbp) { return sbp == Sbp::split(0); }

[[noreturn]] void throw_mixed(const std::string& layer, const std::string& name, bool is_global);

/// A defined tensor is global and on the placement.
void check_member(const std::string& layer, const char* name, const Tensor& tensor,
                  const Placement& placement);

/// A tensor that goes with x: the ranks have the same parts of both.
void check_alike(const std::string& layer, const char* name, const Tensor& tensor,
                 const halnorm::detail::Distribution& how);

}  // namespace halnorm::HALNORM_ABI::nn::detail
