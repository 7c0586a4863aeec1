#include "plan/nontemporal.h"
#include "plan/planner.h"

namespace halnorm::HALNORM_ABI::detail {

Plan plan_backward_reduce(const Views& data) {
  return plan_in_groups(data, false, [](Planner& planner, const Views& part, bool /*nontemporal*/) {
    return planner.sums(rows::batch_norm_backward_reduce, part);
  });
}

Plan plan_backward_elemt(const Views& data) {
  return plan_in_groups(
      data, is_beyond_caches(data), [](Planner& planner, const Views& part, bool nontemporal) {
        return planner.elements(rows::batch_norm_backward_elemt, part, nontemporal);
      });
}

Plan plan_relu_backward(const Views& data) {
  Plan plan;
  Planner(plan).elements(rows::relu_backward, data, is_beyond_caches(data));
  return plan;
}

Plan plan_backward(const Views& data) {
  return plan_in_groups(
      data, is_beyond_caches(data), [](Planner& planner, const Views& part, bool nontemporal) {
        Step* step = planner.whole(rows::batch_norm_backward, part, nontemporal);
        if (step != nullptr) {
          return step;
        }
        step = planner.passes();
        planner.set_first(step, planner.sums(rows::batch_norm_backward_reduce, part.inputs()));
        planner.set_second(step,
                           planner.elements(rows::batch_norm_backward_elemt, part, nontemporal));
        return step;
      });
}

Plan plan_backward_infer(const Views& data) {
  // dx is dy normalized about 0. The single kernel writes dx before its sums are complete, and so
  // would overwrite a dy that the sums still read.
  const auto dy_and_dx = [](const Views& all) { return Views{all.inputs().out(), all.out()}; };
  return plan_in_groups(
      data, is_beyond_caches(dy_and_dx(data)),
      [&](Planner& planner, const Views& part, bool nontemporal) {
        const Views elements = dy_and_dx(part);
        const bool in_place = elements.x().data == elements.out().data;
        Step* step = in_place || nontemporal
                         ? nullptr
                         : planner.whole(rows::batch_norm_backward_infer, part, false);
        if (step != nullptr) {
          return step;
        }
        step = planner.passes();
        planner.set_first(step, planner.sums(rows::batch_norm_backward_reduce, part.inputs()));
        planner.set_second(step, planner.elements(rows::batch_norm_elemt, elements, nontemporal));
        return step;
      });
}

}  // namespace halnorm::HALNORM_ABI::detail
