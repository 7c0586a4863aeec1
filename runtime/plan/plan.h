#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "kernels/table.h"
#include "plan/fold.h"
#include "plan/view.h"

/// @file
/// The plan of an operation says which kernels run on which parts of the data, in which order. A
/// call makes its plan once, and execute.h runs the plan. A plan depends on shapes, strides,
/// dtypes, the device and the streaming threshold. It also depends on whether an output starts at a
/// cache line, and whether it is an input.

namespace halnorm::HALNORM_ABI::detail {

/// A step of a plan. The plan's array has the parts of a step after the step.
struct Step {
  enum class Way : std::uint8_t {
    kernel,   ///< one kernel
    boxes,    ///< the kernel on boxes that its indices reach, one after the other
    split,    ///< the kernel on boxes side by side: too few channels for the threads
    columns,  ///< first() on rows of columns, and second() on the rows that are left
    groups,   ///< first() on groups of channels side by side; second() on a smaller last one
    passes,   ///< the statistics by first(), if there is one, then the output by second()
  };

  Way way;
  bool nontemporal;                 ///< the kernel has non-temporal stores
  const Kernel* kernel;             ///< for kernel, boxes and split
  const Kernel* unaligned;          ///< the same for a box whose output does not start at a line
  Boxes parts;                      ///< for boxes, split and groups
  Fold fold;                        ///< for columns
  std::int8_t to_first, to_second;  ///< distance in the array; 0 for none

  [[nodiscard]] bool has_first() const noexcept { return to_first != 0; }
  [[nodiscard]] bool has_second() const noexcept { return to_second != 0; }
  [[nodiscard]] const Step& first() const noexcept { return this[to_first]; }
  [[nodiscard]] const Step& second() const noexcept { return this[to_second]; }
  /// The step of a group of channels.
  [[nodiscard]] const Step& of_group(std::int64_t i) const noexcept {
    return has_second() && i == parts.size() - 1 ? second() : first();
  }
};

class Plan {
 public:
  [[nodiscard]] const Step& root() const noexcept { return steps_[0]; }

  /// The plan as text on one line: "halnorm_batch_norm_moments_ncl_f32__avx2, then ...".
  [[nodiscard]] std::string str() const;

 private:
  friend class Planner;
  static constexpr int most_steps = 16;  ///< groups of two passes in columns need eleven

  std::array<Step, most_steps> steps_;
  int count_ = 0;
};

/// The plans of the operations. `data` is x, the other inputs and the output. The rows are those of
/// the plain operations or of the fused ones, which also read an addend.
Plan plan_moments(const Views& data);                   ///< {x}
Plan plan_elemt(const Views& data, const Rows& elemt);  ///< {x, y} or {x, addend, y}
Plan plan_backward_reduce(const Views& data);           ///< {x, dy}
Plan plan_backward_elemt(const Views& data);            ///< {x, dy, dx}
Plan plan_infer(const Views& data, const Rows& infer, const Rows& elemt);  ///< as plan_elemt()
Plan plan_train(const Views& data, const Rows& train, const Rows& elemt);  ///< as plan_elemt()
Plan plan_relu_backward(const Views& data);                                ///< {dy, y, dx}
Plan plan_backward(const Views& data);                                     ///< {x, dy, dx}
Plan plan_backward_infer(const Views& data);                               ///< {x, dy, dx}

/// A plan of one kernel for any data, as on devices.
Plan plan_kernel(const Rows& operation, const View& x);

}  // namespace halnorm::HALNORM_ABI::detail
