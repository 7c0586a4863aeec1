#pragma once

#include <memory>

#include "halnorm/distributed.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI::detail {

/// A global tensor with another distribution on the same ranks: the handle itself if nothing
/// changes, otherwise each rank receives the whole tensor and keeps its part. Collective.
Tensor redistributed(const Tensor& global, std::shared_ptr<const Distribution> wanted);

/// The distribution that to_global(sbp) gives a tensor of this shape: a split has lengths that
/// differ by at most one, the longer ones first.
std::shared_ptr<const Distribution> balanced(const Placement& placement, const Sbp& sbp,
                                             const Shape& shape);

/// Whether each rank has the same part in both.
bool is_distributed_alike(const Distribution& a, const Distribution& b);

/// @throws ValueError unless a tensor of this rank has the axis of a split.
void check_axis(const Sbp& sbp, std::int64_t rank);

}  // namespace halnorm::HALNORM_ABI::detail
