#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "kernels/table.h"
#include "plan/fold.h"
#include "plan/machine.h"
#include "plan/operands.h"
#include "plan/view.h"

/// @file
/// The plan of an operation says which kernels run on which parts of the data, in which order. A
/// call makes its plan once, and execute.h runs the plan. A plan is a pure function of the machine
/// and of the operands' shapes, strides and dtypes. It also depends on whether an output starts at
/// a cache line, and whether it is an input.

namespace halnorm::HALNORM_ABI::detail {

/// A step of a plan. The parts of a step are in the same array, at a distance from it.
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
  [[nodiscard]] const Step& root() const noexcept { return steps_[root_]; }

  /// The plan as text on one line: "halnorm_batch_norm_moments_ncl_f32__avx2, then ...".
  [[nodiscard]] std::string str() const;

 private:
  friend class Planner;
  static constexpr std::size_t most_steps = 16;  ///< groups of two passes in columns need eleven

  std::array<Step, most_steps> steps_;
  std::size_t count_ = 0;
  std::size_t root_ = 0;
};

/// The plan of an operation.
Plan plan_for(const Machine& machine, const UpdateOperands& o);
Plan plan_for(const Machine& machine, const MomentsOperands& o);
Plan plan_for(const Machine& machine, const ElemtOperands& o);
Plan plan_for(const Machine& machine, const InferOperands& o);
Plan plan_for(const Machine& machine, const TrainOperands& o);
Plan plan_for(const Machine& machine, const ReduceOperands& o);
Plan plan_for(const Machine& machine, const BackwardElemtOperands& o);
Plan plan_for(const Machine& machine, const BackwardOperands& o);
Plan plan_for(const Machine& machine, const BackwardInferOperands& o);
Plan plan_for(const Machine& machine, const ReluBackwardOperands& o);

/// A plan of one kernel for any data, as on devices.
Plan plan_kernel(const Machine& machine, const Rows& operation, const View& x);

}  // namespace halnorm::HALNORM_ABI::detail
