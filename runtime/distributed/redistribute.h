#pragma once

#include <memory>

#include "halnorm/distributed.h"
#include "tensor/impl.h"

namespace halnorm::detail {

/// A global tensor's elements distributed another way on the same ranks: the handle itself if it is
/// so already, otherwise each rank receives the whole tensor and keeps its part. Collective.
Tensor redistributed(const Tensor& global, std::shared_ptr<const Distribution> wanted);

/// How to_global(sbp) distributes a tensor of this shape: a split into lengths that differ by at
/// most one, the longer ones first.
std::shared_ptr<const Distribution> balanced(const Placement& placement, const Sbp& sbp,
                                             const Shape& shape);

/// Whether the ranks hold the same parts.
bool is_distributed_alike(const Distribution& a, const Distribution& b);

/// @throws ValueError unless a tensor of this rank has the axis of a split.
void check_axis(const Sbp& sbp, std::int64_t rank);

}  // namespace halnorm::detail
