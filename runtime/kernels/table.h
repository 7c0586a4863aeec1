#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "halnorm/device.h"
#include "kernels/data_types.h"
#include "kernels/launch.h"

/// @file
/// (operation, layout, dtype) -> the kernel that runs: the fastest this CPU executes, or the forced
/// one.

namespace halnorm::HALNORM_ABI::detail {

#define HALNORM_OPERATION(name) name,
/// The operations and their variants: the rows of the table in cmake/kernels.cmake.
enum class Operation : std::uint8_t {
#include "halnorm_operations.inc"
};
#undef HALNORM_OPERATION

enum class Layout : std::uint8_t { ncl, nlc, c };
inline constexpr auto layout_count = static_cast<std::size_t>(Layout::c) + 1;

#define HALNORM_TARGET(name) name,
/// The linked targets, a CPU's fastest first, devices last.
enum class Target : std::uint8_t {
#include "halnorm_targets.inc"
};
#undef HALNORM_TARGET

#define HALNORM_TARGET(name) #name,
inline constexpr std::string_view target_names[] = {
#include "halnorm_targets.inc"
};
#undef HALNORM_TARGET
inline constexpr std::size_t target_count = std::size(target_names);

constexpr std::uint8_t vector_bytes_of(std::string_view target) {
  const bool on_device = target == "cuda" || target == "opencl";
  return target == "avx512" ? 64 : target == "avx2" ? 32 : on_device ? 0 : 16;
}

/// One row of the table. A kernel takes its arguments as an array of pointers: a halide_buffer_t
/// for a buffer, the value's address for a scalar; it returns 0 or Halide's error code.
struct Kernel {
  Operation operation;
  Layout layout;
  Element element;
  Target target_id;
  std::uint8_t vector_bytes;  ///< of the CPU's registers; 0 on a device
  Walk first_loop;
  const char* operation_name;
  const char* layout_name;
  const char* element_name;
  const char* target;
  const char* name;
  int (*run)(void** arguments);
};

class Rows;

/// An operation for other data, with the same arguments; null where there is none.
struct Variants {
  const Rows* single_pass = nullptr;  ///< few values: see find_kernel_for()
  const Rows* exact = nullptr;        ///< channels of few values, added up in double
  double exact_values = 0;            ///< the most values of a channel for `exact`
  const Rows* nontemporal = nullptr;  ///< data beyond the caches: see plan/nontemporal.h
};

/// The kernels of one operation. Code that runs an operation names its rows, and the linker takes
/// the kernels of the rows that are named: no list of all operations lies on the way of a call.
class Rows {
 public:
  template <std::size_t count>
  constexpr Rows(const std::array<Kernel, count>& kernels, const Kernel* scalar_f64,
                 Variants of_operation) noexcept
      : variants(of_operation), all_(kernels), scalar_f64_(scalar_f64) {
    for (const Kernel& k : kernels) {
      found_[slot(k.target_id, k.layout, k.element)] = &k;
    }
    for (std::size_t i = target_count; i-- > 1;) {
      take_missing(i - 1, i);
    }
  }

  /// Fastest target first within each layout and dtype; the portable one last.
  [[nodiscard]] std::span<const Kernel> all() const noexcept { return all_; }
  /// In a build without float64 kernels, those in plain C++ of scalar_f64.h are found in their
  /// place.
  [[nodiscard]] const Kernel* find(Target target, Layout layout, Element element) const noexcept {
    const Kernel* found = found_[slot(target, layout, element)];
    return found == nullptr && element == Element::f64 ? scalar_f64_ : found;
  }

  const Variants variants;

 private:
  static constexpr std::size_t slot(Target target, Layout layout, Element element) noexcept {
    return (static_cast<std::size_t>(target) * layout_count + static_cast<std::size_t>(layout)) *
               element_count +
           static_cast<std::size_t>(element);
  }

  /// A target of the CPU that has no kernel of its own for a dtype runs the next slower target's.
  constexpr void take_missing(std::size_t target, std::size_t slower) noexcept {
    constexpr std::size_t size = layout_count * element_count;
    if (vector_bytes_of(target_names[slower]) == 0) {
      return;
    }
    for (std::size_t i = 0; i < size; ++i) {
      const Kernel*& own = found_[target * size + i];
      own = own == nullptr ? found_[slower * size + i] : own;
    }
  }

  std::span<const Kernel> all_;
  const Kernel* scalar_f64_;
  std::array<const Kernel*, target_count * layout_count * element_count> found_{};
};

/// One for each operation, in an object of its own.
namespace rows {
#define HALNORM_OPERATION(name) extern const Rows name;
#include "halnorm_operations.inc"
#undef HALNORM_OPERATION
}  // namespace rows

/// The target whose kernels run on the devices of this type, one of which a tensor is on.
/// @throws KernelError if HALNORM_TARGET names no target that runs here.
Target target_of(DeviceType where);

/// Null if there is none: not every operation and variant has kernels for each target, layout and
/// dtype.
/// @throws KernelError if HALNORM_TARGET names no target that runs here.
const Kernel* find_kernel(const Rows& operation, Layout layout, Element element, DeviceType where);

/// The kernel to run.
const Kernel& select_kernel(const Rows& operation, Layout layout, Element element,
                            DeviceType where = DeviceType::CPU);

}  // namespace halnorm::HALNORM_ABI::detail
