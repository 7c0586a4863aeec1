#include "plan/execute.h"
#include "plan/run.h"
#include "plan/steps.h"
#include "plan/watch.h"

namespace halnorm::HALNORM_ABI::detail {

ReluBackwardOperands ReluBackwardOperands::part(const Box& b) const noexcept {
  return {dy.part(b), y.part(b), slope, dx.part(b)};
}

namespace {

/// Fused operands have an epilogue.
template <class Operands>
const View& addend_of(const Operands& o) {
  return o.relu->addend;  // NOLINT(bugprone-unchecked-optional-access)
}

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

Plan plan_fused_infer(const Views& data) {
  return data.x().memory != nullptr
             ? plan_kernel(rows::batch_norm_fused_infer, data.x())
             : plan_infer(data, rows::batch_norm_fused_infer, rows::batch_norm_fused_elemt);
}

Plan plan_fused_train(const Views& data) {
  return data.x().memory != nullptr ? plan_kernel(rows::batch_norm_fused_train, data.x())
                                    : plan_train(data, nullptr, rows::batch_norm_fused_elemt);
}

void execute_fused(const char* function, const InferOperands& o) {
  const Plan plan = plan_fused_infer({o.x, addend_of(o), o.y});
  execute_in_groups(function, plan, o);
}

void execute_fused(const char* function, const TrainOperands& o) {
  const Plan plan = o.running == nullptr
                        ? plan_fused_train({o.x, addend_of(o), o.y})
                        : plan_kernel(rows::batch_norm_fused_train_with_running_stats, o.x);
  execute_in_groups(function, plan, o);
}

void execute(const char* function, const ReluBackwardOperands& o) {
  const Plan plan = plan_relu_backward({o.dy, o.y, o.dx});
  watched(function, plan, o.dy, [&] { carry_out(function, plan.root(), o); });
}

}  // namespace halnorm::HALNORM_ABI::detail
