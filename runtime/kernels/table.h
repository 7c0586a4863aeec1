#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "halnorm/device.h"
#include "kernels/data_types.h"

/// @file
/// (operation, layout, dtype) -> the kernel that runs: the fastest this CPU executes, or the forced
/// one.

namespace halnorm::detail {

enum class Operation : std::uint8_t {
  batch_norm_train,
  batch_norm_infer,
  batch_norm_backward,
  batch_norm_backward_infer,
  batch_norm_moments,
  batch_norm_elemt,
  batch_norm_backward_reduce,
  batch_norm_backward_elemt,
  batch_norm_fused_train,
  batch_norm_fused_infer,
  batch_norm_fused_backward,
  batch_norm_fused_backward_infer,
  update_running_stats,
  batch_norm_train_update,  ///< of devices: running statistics are updated on the way
  batch_norm_fused_train_update,
  batch_norm_backward_add,  ///< of devices: dweight and dbias are added to others
  batch_norm_fused_backward_add,
  batch_norm_train_small,  ///< for few values: see kernel_for(); those below on devices alone
  batch_norm_backward_small,
  batch_norm_train_update_small,
  batch_norm_backward_add_small,
  batch_norm_fused_train_small,
  batch_norm_fused_backward_small,
  batch_norm_fused_train_update_small,
  batch_norm_fused_backward_add_small,
  batch_norm_train_exact,  ///< sums in double, for channels of few values: see kernel_for()
  batch_norm_backward_exact,
  batch_norm_moments_exact,
  batch_norm_backward_reduce_exact,
  batch_norm_train_stream,     ///< for data beyond the caches: see stream.h
  batch_norm_backward_stream,  ///< likewise, and so are those below
  batch_norm_moments_stream,
  batch_norm_elemt_stream,
  batch_norm_backward_reduce_stream,
  batch_norm_backward_elemt_stream,
};
inline constexpr auto operation_count =
    static_cast<std::size_t>(Operation::batch_norm_backward_elemt_stream) + 1;
enum class Layout : std::uint8_t { ncl, nlc, c };
inline constexpr auto layout_count = static_cast<std::size_t>(Layout::c) + 1;

/// One row of the table. A kernel takes its arguments as an array of pointers: a halide_buffer_t
/// for a buffer, the value's address for a scalar; it returns 0 or Halide's error code.
struct Kernel {
  Operation operation;
  Layout layout;
  Element element;
  std::uint8_t vector_bytes;  ///< of the CPU's registers; 0 on a device
  const char* operation_name;
  const char* layout_name;
  const char* element_name;
  const char* target;
  const char* name;
  int (*run)(void** arguments);
};

/// Every linked kernel, in the order of halnorm::kernels().
std::span<const Kernel> all_kernels() noexcept;

/// Null where there is none: not every target has the forms for few values and for data beyond the
/// caches, nor in every layout and dtype.
const Kernel* find_kernel(Operation operation, Layout layout, Element element, DeviceType where);

/// The kernel to run, remembered as this thread's last one.
/// @throws KernelError if HALNORM_TARGET names no target that runs here.
const Kernel& select_kernel(Operation operation, Layout layout, Element element,
                            DeviceType where = DeviceType::CPU);

}  // namespace halnorm::detail
