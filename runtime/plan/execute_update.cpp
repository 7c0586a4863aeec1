#include "plan/execute.h"
#include "plan/run.h"
#include "plan/watch.h"

namespace halnorm::HALNORM_ABI::detail {

void execute(const char* function, const UpdateOperands& o) {
  const Channels& mean = o.running_mean;
  const View channels{static_cast<std::byte*>(mean.data),
                      mean.dtype,
                      Layout::c,
                      1,
                      mean.count,
                      1,
                      mean.count,
                      1,
                      mean.memory};
  const Plan plan = plan_kernel(rows::update_running_stats, channels);
  watched(function, plan, channels, [&] {
    run(function, *plan.root().kernel, mean, o.running_var, o.mean, o.m2, o.count, o.factor, mean,
        o.running_var);
  });
}

}  // namespace halnorm::HALNORM_ABI::detail
