#include "plan/nontemporal.h"
#include "plan/planner.h"

namespace halnorm::detail {

Plan plan_moments(const Views& data) {
  Plan plan;
  Planner(plan).sums(rows::batch_norm_moments, data);
  return plan;
}

Plan plan_elemt(const Views& data) {
  Plan plan;
  Planner(plan).elements(rows::batch_norm_elemt, data, should_stream(data));
  return plan;
}

Plan plan_infer(const Views& data) {
  return plan_in_groups(
      data, should_stream(data), [](Planner& planner, const Views& part, bool streams) {
        if (part.fit_kernel() && !find_fold(part) && !streams) {
          return planner.kernel(rows::batch_norm_infer, part.x());
        }
        Step* step = planner.passes();
        planner.set_second(step, planner.elements(rows::batch_norm_elemt, part, streams));
        return step;
      });
}

Plan plan_train(const Views& data) {
  return plan_in_groups(
      data, should_stream(data), [](Planner& planner, const Views& part, bool streams) {
        if (!in_passes(part, streams)) {
          return planner.whole(rows::batch_norm_train, part.x(), streams);
        }
        Step* step = planner.passes();
        planner.set_first(step, planner.sums(rows::batch_norm_moments, {part.x()}));
        planner.set_second(step, planner.elements(rows::batch_norm_elemt, part, streams));
        return step;
      });
}

}  // namespace halnorm::detail
