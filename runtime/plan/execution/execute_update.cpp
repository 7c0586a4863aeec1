#include "plan/execution/execute.h"
#include "plan/execution/run.h"
#include "plan/execution/steps.h"

namespace halnorm::HALNORM_ABI::detail {

void carry_out(const char* function, const Step& step, const UpdateOperands& o) {
  run(function, *step.kernel, o.running_mean, o.running_var, o.mean, o.m2, o.count, o.factor,
      o.running_mean, o.running_var);
}

void execute(const char* function, const UpdateOperands& o) { execute_plan(function, o); }

}  // namespace halnorm::HALNORM_ABI::detail
