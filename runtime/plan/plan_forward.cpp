#include "plan/nontemporal.h"
#include "plan/planner.h"

namespace halnorm::HALNORM_ABI::detail {

Plan plan_moments(const Views& data) {
  return plan_in_groups(data, false, [](Planner& planner, const Views& part, bool /*nontemporal*/) {
    return planner.sums(rows::batch_norm_moments, part);
  });
}

Plan plan_elemt(const Views& data, const Rows& elemt) {
  return plan_in_groups(data, is_beyond_caches(data),
                        [&](Planner& planner, const Views& part, bool nontemporal) {
                          return planner.elements(elemt, part, nontemporal);
                        });
}

Plan plan_infer(const Views& data, const Rows& infer, const Rows& elemt) {
  return plan_in_groups(data, is_beyond_caches(data),
                        [&](Planner& planner, const Views& part, bool nontemporal) {
                          if (part.fit_kernel() && !find_fold(part) && !nontemporal) {
                            return planner.kernel(infer, part.x());
                          }
                          Step* step = planner.passes();
                          planner.set_second(step, planner.elements(elemt, part, nontemporal));
                          return step;
                        });
}

Plan plan_train(const Views& data, const Rows& train, const Rows& elemt) {
  return plan_in_groups(
      data, is_beyond_caches(data), [&](Planner& planner, const Views& part, bool nontemporal) {
        Step* step = planner.whole(train, part, nontemporal);
        if (step != nullptr) {
          return step;
        }
        step = planner.passes();
        planner.set_first(step, planner.sums(rows::batch_norm_moments, {part.x()}));
        planner.set_second(step, planner.elements(elemt, part, nontemporal));
        return step;
      });
}

}  // namespace halnorm::HALNORM_ABI::detail
