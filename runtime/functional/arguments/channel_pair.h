#pragma once

#include <initializer_list>

#include "halnorm/functional.h"
#include "halnorm/functional_fused.h"
#include "halnorm/tensor.h"

namespace halnorm {

namespace detail {

/// Two tensors of one dtype, of one value per channel each, that a device's kernel may change on
/// its way.
struct ChannelPair {
  const Tensor& first;
  const Tensor& second;

  /// Whether the kernel for x can: a device's, which takes dense ones of its own dtype, and where
  /// no other tensor lies in their memory, which a thread might read after another has written it.
  [[nodiscard]] bool goes_along(const Tensor& x, std::initializer_list<const Tensor*> others) const;
};

}  // namespace detail

namespace functional {

/// The public forms. Where `sums`, for (C) channels, go along, dweight and dbias are added to these
/// and undefined in what is returned. Null for none.
BatchNormBackward batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight,
                                      const Tensor& mean, const Tensor& invstd, Tensor out,
                                      const detail::ChannelPair* sums);
BatchNormFusedBackward batch_norm_fused_backward(const Tensor& dy, const Tensor& x, const Tensor& y,
                                                 const Tensor& weight, const Tensor& mean,
                                                 const Tensor& invstd, Tensor out, double slope,
                                                 const detail::ChannelPair* sums);

}  // namespace functional

}  // namespace halnorm
