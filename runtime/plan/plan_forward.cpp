#include "plan/nontemporal.h"
#include "plan/planner.h"

namespace halnorm::HALNORM_ABI::detail {

Plan plan_for(const Machine& machine, const UpdateOperands& o) {
  return plan_kernel(machine, rows::update_running_stats, o.data().x());
}

Plan plan_for(const Machine& machine, const MomentsOperands& o) {
  Plan plan;
  Planner planner(machine, plan);
  planner.in_groups(o.data(), false, [&](const Views& part, bool /*nontemporal*/) {
    return planner.sums(rows::batch_norm_moments, part);
  });
  return plan;
}

Plan plan_for(const Machine& machine, const ElemtOperands& o) {
  Plan plan;
  Planner planner(machine, plan);
  const Views data = o.data();
  planner.in_groups(data,
                    is_beyond_caches(machine, data, machine.thresholds.nontemporal_bytes_of_passes),
                    [&](const Views& part, bool nontemporal) {
                      return planner.elements(rows::batch_norm_elemt, part, nontemporal);
                    });
  return plan;
}

Plan plan_for(const Machine& machine, const InferOperands& o) {
  Plan plan;
  Planner planner(machine, plan);
  const Views data = o.data();
  planner.in_groups(
      data, is_beyond_caches(machine, data, machine.thresholds.nontemporal_bytes_of_passes),
      [&](const Views& part, bool nontemporal) -> Step* {
        if (part.fit_kernel() && !nontemporal && !find_fold(machine, part)) {
          return planner.kernel(o.rows.infer, part.x());
        }
        return planner.passes(nullptr, planner.elements(o.rows.elemt, part, nontemporal));
      });
  return plan;
}

Plan plan_for(const Machine& machine, const TrainOperands& o) {
  if (o.running != nullptr) {
    return plan_kernel(machine, o.rows.with_running_stats, o.x);
  }
  Plan plan;
  Planner planner(machine, plan);
  const Views data = o.data();
  planner.in_groups(data, is_beyond_caches(machine, data, most_with_sums(machine, data)),
                    [&](const Views& part, bool nontemporal) {
                      Step* step = planner.whole(o.rows.train, part, nontemporal);
                      if (step != nullptr) {
                        return step;
                      }
                      const Step* sums = planner.sums(rows::batch_norm_moments, {part.x()});
                      return planner.passes(sums,
                                            planner.elements(o.rows.elemt, part, nontemporal));
                    });
  return plan;
}

}  // namespace halnorm::HALNORM_ABI::detail
