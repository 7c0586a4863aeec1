#include "plan/execute_fused.h"

#include "plan/run.h"
#include "plan/watch.h"

namespace halnorm::detail {

namespace {

/// run(kernel) with the one kernel of an operation on x.
template <class Run>
void in_one_kernel(const char* function, const Rows& operation, const View& x, Run run) {
  const Plan plan = plan_kernel(operation, x);
  watched(function, plan, x, [&] { run(*plan.root().kernel); });
}

}  // namespace

void execute(const char* function, const FusedTrainOperands& o) {
  if (o.running == nullptr) {
    in_one_kernel(function, rows::batch_norm_fused_train, o.x, [&](const Kernel& kernel) {
      run(function, kernel, o.x, o.addend, o.weight, o.bias, o.eps, o.y, o.mean, o.invstd, o.m2);
    });
    return;
  }
  const RunningStatistics& running = *o.running;
  in_one_kernel(function, rows::batch_norm_fused_train_update, o.x, [&](const Kernel& kernel) {
    run(function, kernel, o.x, o.addend, o.weight, o.bias, o.eps, running.mean, running.var,
        running.factor, o.y, o.mean, o.invstd, o.m2, running.mean, running.var);
  });
}

void execute(const char* function, const FusedInferOperands& o) {
  in_one_kernel(function, rows::batch_norm_fused_infer, o.x, [&](const Kernel& kernel) {
    run(function, kernel, o.x, o.addend, o.running_mean, o.running_var, o.weight, o.bias, o.eps,
        o.y);
  });
}

void execute(const char* function, const FusedBackwardOperands& o) {
  if (!o.adds) {
    in_one_kernel(function, rows::batch_norm_fused_backward, o.x, [&](const Kernel& kernel) {
      run(function, kernel, o.dy, o.x, o.y, o.weight, o.mean, o.invstd, o.dx, o.daddend, o.dweight,
          o.dbias);
    });
    return;
  }
  in_one_kernel(function, rows::batch_norm_fused_backward_add, o.x, [&](const Kernel& kernel) {
    run(function, kernel, o.dy, o.x, o.y, o.weight, o.mean, o.invstd, o.dweight, o.dbias, o.dx,
        o.daddend, o.dweight, o.dbias);
  });
}

void execute(const char* function, const FusedBackwardInferOperands& o) {
  in_one_kernel(function, rows::batch_norm_fused_backward_infer, o.x, [&](const Kernel& kernel) {
    run(function, kernel, o.dy, o.x, o.y, o.weight, o.running_mean, o.running_var, o.eps, o.dx,
        o.daddend, o.dweight, o.dbias);
  });
}

}  // namespace halnorm::detail
