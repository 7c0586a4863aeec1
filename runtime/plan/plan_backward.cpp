#include "plan/nontemporal.h"
#include "plan/planner.h"

namespace halnorm::HALNORM_ABI::detail {

Plan plan_for(const Machine& machine, const ReduceOperands& o) {
  Plan plan;
  Planner planner(machine, plan);
  planner.in_groups(o.data(), false, [&](const Views& part, bool /*nontemporal*/) {
    return planner.sums(rows::batch_norm_backward_reduce, part);
  });
  return plan;
}

Plan plan_for(const Machine& machine, const BackwardElemtOperands& o) {
  Plan plan;
  Planner planner(machine, plan);
  const Views data = o.data();
  planner.in_groups(data,
                    is_beyond_caches(machine, data, machine.thresholds.nontemporal_bytes_of_passes),
                    [&](const Views& part, bool nontemporal) {
                      return planner.elements(rows::batch_norm_backward_elemt, part, nontemporal);
                    });
  return plan;
}

Plan plan_for(const Machine& machine, const ReluBackwardOperands& o) {
  Plan plan;
  Planner planner(machine, plan);
  const Views data = o.data();
  // The backward of the normalization reads dx next.
  planner.begin_with(
      planner.elements(rows::relu_backward, data,
                       is_beyond_caches(machine, data, machine.thresholds.nontemporal_bytes)));
  return plan;
}

Plan plan_for(const Machine& machine, const BackwardOperands& o) {
  if (o.adds) {
    return plan_kernel(machine, rows::batch_norm_backward_accumulate, o.x);
  }
  Plan plan;
  Planner planner(machine, plan);
  const Views data = o.data();
  planner.in_groups(
      data, is_beyond_caches(machine, data, most_with_sums(machine, data)),
      [&](const Views& part, bool nontemporal) {
        Step* step = planner.whole(rows::batch_norm_backward, part, nontemporal);
        if (step != nullptr) {
          return step;
        }
        const Step* sums = planner.sums(rows::batch_norm_backward_reduce, part.inputs());
        return planner.passes(sums,
                              planner.elements(rows::batch_norm_backward_elemt, part, nontemporal));
      });
  return plan;
}

Plan plan_for(const Machine& machine, const BackwardInferOperands& o) {
  Plan plan;
  Planner planner(machine, plan);
  const Views data = o.data();
  // dx is dy normalized about 0. The single kernel writes dx before its sums are complete, and so
  // would overwrite a dy that the sums still read.
  const auto dy_and_dx = [](const Views& all) { return Views{all.inputs().out(), all.out()}; };
  planner.in_groups(
      data, is_beyond_caches(machine, dy_and_dx(data), most_with_sums(machine, data)),
      [&](const Views& part, bool nontemporal) {
        const Views elements = dy_and_dx(part);
        const bool in_place = elements.x().data == elements.out().data;
        Step* step = in_place || nontemporal
                         ? nullptr
                         : planner.whole(rows::batch_norm_backward_infer, part, false);
        if (step != nullptr) {
          return step;
        }
        const Step* sums = planner.sums(rows::batch_norm_backward_reduce, part.inputs());
        return planner.passes(sums,
                              planner.elements(rows::batch_norm_elemt, elements, nontemporal));
      });
  return plan;
}

}  // namespace halnorm::HALNORM_ABI::detail
