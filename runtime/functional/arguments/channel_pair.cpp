#include "functional/arguments/channel_pair.h"

#include <algorithm>

#include "base/strides.h"
#include "functional/channel_math.h"
#include "tensor/overlap.h"

namespace halnorm::HALNORM_ABI::detail {

bool ChannelPair::kernel_can_update(const Tensor& x,
                                    std::initializer_list<const Tensor*> others) const {
  const DType wanted = x.dtype() == DType::Float64 ? DType::Float64 : DType::Float32;
  return x.device() != Device::cpu() && first.dtype() == wanted && second.dtype() == wanted &&
         first.is_contiguous() && second.is_contiguous() && can_add_channels(first) &&
         can_add_channels(second) && !may_overlap(first, second) &&
         std::none_of(others.begin(), others.end(), [this](const Tensor* other) {
           return other->defined() && (may_overlap(*other, first) || may_overlap(*other, second));
         });
}

}  // namespace halnorm::HALNORM_ABI::detail
