#pragma once

#include "halnorm/tensor.h"

namespace halnorm::HALNORM_ABI::detail {

/// A copy in host memory with the same strides, and with whatever lies between the elements; the
/// tensor itself if it is on the host.
Tensor on_host(const Tensor& tensor);

/// to.copy_(from) where one of the two is not on the host: directly on one device if all that
/// changes is the place, else through the host.
void copy_across(const Tensor& to, const Tensor& from);

}  // namespace halnorm::HALNORM_ABI::detail
