#include "plan/execute.h"
#include "plan/run.h"
#include "plan/steps.h"

/// @file
/// The backward of a fused forward's relu.

namespace halnorm::HALNORM_ABI::detail {

ReluBackwardOperands ReluBackwardOperands::part(const Box& b) const noexcept {
  return {dy.part(b), y.part(b), slope, dx.part(b)};
}

namespace {

void run_relu(const char* function, const Step& step, const ReluBackwardOperands& o) {
  run(function, kernel_for_part(step, o.dx), o.dy, o.y, o.slope, o.dx);
}

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

}  // namespace

void execute(const char* function, const ReluBackwardOperands& o) {
  const Plan plan = plan_relu_backward({o.dy, o.y, o.dx});
  watched(function, plan, o.dy, [&] { carry_out(function, plan.root(), o); });
}

}  // namespace halnorm::HALNORM_ABI::detail
