#include "plan/execution/execute.h"
#include "plan/execution/run.h"
#include "plan/execution/steps.h"

/// @file
/// The backward of a fused forward's relu.

namespace halnorm::HALNORM_ABI::detail {

namespace {

void run_relu(const char* function, const Step& step, const ReluBackwardOperands& o) {
  run(function, kernel_for_part(step, o.dx), o.dy, o.y, o.slope, o.dx);
}

}  // namespace

void carry_out(const char* function, const Step& step, const ReluBackwardOperands& o) {
  if (step.way == Step::Way::columns) {
    const Fold& fold = step.fold;
    carry_out(
        function, step.first(),
        ReluBackwardOperands{fold.folded(o.dy), fold.folded(o.y), o.slope, fold.folded(o.dx)});
    if (step.has_second()) {
      carry_out(function, step.second(),
                ReluBackwardOperands{fold.left_over(o.dy), fold.left_over(o.y), o.slope,
                                     fold.left_over(o.dx)});
    }
  } else {
    run_elements(step, o,
                 [&](const ReluBackwardOperands& part) { run_relu(function, step, part); });
  }
}

void execute(const char* function, const ReluBackwardOperands& o) { execute_plan(function, o); }

}  // namespace halnorm::HALNORM_ABI::detail
