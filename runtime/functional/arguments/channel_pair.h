#pragma once

#include <initializer_list>

#include "halnorm/functional.h"
#include "halnorm/functional_fused.h"
#include "halnorm/tensor.h"

namespace halnorm::HALNORM_ABI {

namespace detail {

/// Two tensors of one dtype with one value per channel, which a device's kernel may also update in
/// the same launch.
struct ChannelPair {
  const Tensor& first;
  const Tensor& second;

  /// Whether the kernel for x can update the pair. It has to be a device's kernel, and the tensors
  /// contiguous, of the kernel's parameter dtype, and apart from `others`: a thread could read
  /// memory that another thread has already written.
  [[nodiscard]] bool kernel_can_update(const Tensor& x,
                                       std::initializer_list<const Tensor*> others) const;
};

}  // namespace detail

namespace functional {

/// The public functions with `sums`, which may be null. If the kernel can update `sums`, it adds
/// dweight and dbias to them, and the returned dweight and dbias are undefined.
BatchNormBackward batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight,
                                      const Tensor& mean, const Tensor& invstd, Tensor out,
                                      const detail::ChannelPair* sums);
BatchNormFusedBackward batch_norm_fused_backward(const Tensor& dy, const Tensor& x, const Tensor& y,
                                                 const Tensor& weight, const Tensor& mean,
                                                 const Tensor& invstd, Tensor out, double slope,
                                                 const detail::ChannelPair* sums);

}  // namespace functional

}  // namespace halnorm::HALNORM_ABI
