#pragma once

#include <functional>

#include "kernels/launch.h"
#include "kernels/threads/parallel.h"
#include "plan/execution/execute.h"
#include "plan/execution/watch.h"
#include "plan/nontemporal.h"
#include "plan/plan.h"

/// @file
/// The execution of a plan's steps: the part that forwards and backwards share.

namespace halnorm::HALNORM_ABI::detail {

void carry_out(const char* function, const Step& step, const UpdateOperands& o);
void carry_out(const char* function, const Step& step, const MomentsOperands& o);
void carry_out(const char* function, const Step& step, const ElemtOperands& o);
void carry_out(const char* function, const Step& step, const InferOperands& o);
void carry_out(const char* function, const Step& step, const TrainOperands& o);
void carry_out(const char* function, const Step& step, const ReduceOperands& o);
void carry_out(const char* function, const Step& step, const BackwardElemtOperands& o);
void carry_out(const char* function, const Step& step, const BackwardOperands& o);
void carry_out(const char* function, const Step& step, const BackwardInferOperands& o);
void carry_out(const char* function, const Step& step, const ReluBackwardOperands& o);

/// Calls task(i) for each part, in order or side by side.
template <class Task>
void for_each_part(const Step& step, Task task) {
  if (step.way == Step::Way::boxes) {
    for (std::int64_t i = 0; i < step.parts.size(); ++i) {
      task(i);
    }
  } else {
    if (step.kernel != nullptr) {
      launch().last = step.kernel;  // last_kernel() of the calling thread, even if others run it
    }
    parallel_for(step.parts.size(),
                 std::ref(task));  // a reference, so that std::function allocates nothing
  }
}

/// Makes the plan of an operation and runs it.
template <class Operands>
void execute_plan(const char* function, const Operands& o) {
  const View x = o.data().x();
  const Plan plan = plan_for(machine_of(x), o);
  watched(function, plan, x, [&] {
    const Step& root = plan.root();
    if (root.way != Step::Way::groups) {
      carry_out(function, root, o);
      return;
    }
    if constexpr (requires(const Box& box) { o.part(box); }) {
      for_each_part(root, [&](std::int64_t i) {
        carry_out(function, root.of_group(i), o.part(root.parts[i]));
      });
    }
  });
}

/// The kernel of a step for one of its parts, of which it writes `out`.
inline const Kernel& kernel_for_part(const Step& step, const View& out) noexcept {
  return step.nontemporal && !starts_at_line(out) ? *step.unaligned : *step.kernel;
}

/// Ends a step with non-temporal stores.
inline void finish(const Step& step) noexcept {
  if (step.nontemporal) {
    fence_nontemporal_stores();
  }
}

/// Runs the elementwise kernel of a step on all of the data or on its parts, by run(operands).
template <class Operands, class Run>
void run_elements(const Step& step, const Operands& o, Run run) {
  if (step.way == Step::Way::kernel) {
    run(o);
  } else {
    for_each_part(step, [&](std::int64_t i) { run(o.part(step.parts[i])); });
  }
  finish(step);
}

}  // namespace halnorm::HALNORM_ABI::detail
