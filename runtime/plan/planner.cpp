#include "plan/planner.h"

#include <stdexcept>

#include "plan/nontemporal.h"
#include "plan/partition.h"
#include "plan/variant.h"

namespace halnorm::HALNORM_ABI::detail {

using Way = Step::Way;

namespace {

// The coefficients of so many channels, at most 20 bytes of each, stay in a core's L2 for all rows.
constexpr std::int64_t wide_row = 32768;

/// A kernel past the caches writes whole rows, NLC, and reads the coefficients again for each.
bool has_wide_rows(const View& x) noexcept {
  return x.layout == Layout::nlc && x.C >= 2 * wide_row && x.N >= enough_rows;
}

/// Equal parts of a wide row, which start at cache lines if the row does.
Boxes parts_of_wide_rows(const View& x) {
  const std::int64_t parts = (x.C + wide_row - 1) / wide_row;
  return Boxes::of_channels(x, (x.C / parts + line_bytes) / line_bytes * line_bytes);
}

}  // namespace

Step* Planner::add(Way way) {
  if (plan_.count_ == Plan::most_steps) {
    throw std::length_error("halnorm: a plan of too many steps");
  }
  Step* step = &plan_.steps_[plan_.count_++];
  step->way = way;
  step->nontemporal = false;
  step->kernel = step->unaligned = nullptr;
  step->to_first = step->to_second = 0;
  return step;
}

Step* Planner::kernel(const Rows& operation, const View& x, bool nontemporal) {
  Step* step = add(Way::kernel);
  step->kernel = find_kernel_for(machine_, operation, x, nontemporal);
  return step;
}

Step* Planner::columns(const Fold& fold) {
  Step* step = add(Way::columns);
  step->fold = fold;
  return step;
}

Step* Planner::sums(const Rows& operation, const Views& data) {
  const View& x = data.x();
  if (const auto fold = find_fold_for_sums(machine_, data)) {
    Step* step = columns(*fold);
    step->to_first = distance(step, sums(operation, fold->folded(data)));
    if (const Views rest = fold->left_over(data); rest.x().N > 0) {
      step->to_second =
          distance(step, kernel(operation, rest.x(), should_prefetch(machine_, operation, rest)));
    }
    return step;
  }
  Step* step = kernel(operation, x, should_prefetch(machine_, operation, data));
  if (!data.fit_kernel()) {
    step->way = Way::boxes;
    step->parts = kernel_boxes(data);
  } else if (should_split(x)) {
    step->way = Way::split;
    step->parts = split_boxes(x);
  }
  return step;
}

Step* Planner::elements(const Rows& operation, const Views& data, bool nontemporal) {
  const View& x = data.x();
  if (const auto fold =
          nontemporal ? find_fold_beyond_caches(machine_, data) : find_fold(machine_, data)) {
    Step* step = columns(*fold);
    const Views folded = fold->folded(data);
    step->to_first = distance(
        step, elements(operation, folded, nontemporal && is_beyond_caches(machine_, folded, 0)));
    if (const View rest = fold->left_over(x); rest.N > 0) {
      step->to_second = distance(step, kernel(operation, rest));
    }
    return step;
  }
  Step* step = kernel(operation, x, nontemporal);
  step->unaligned = nontemporal ? find_kernel_for(machine_, operation, x) : step->kernel;
  step->nontemporal = nontemporal;
  if (!data.fit_kernel()) {
    step->way = Way::boxes;
    step->parts = kernel_boxes(data);
  } else if (nontemporal && has_wide_rows(x)) {
    step->way = Way::boxes;
    step->parts = parts_of_wide_rows(x);
  }
  return step;
}

Step* Planner::whole(const Rows& operation, const Views& data, bool nontemporal) {
  const View& x = data.x();
  const bool beyond_caches = nontemporal && sums_gain_beyond_caches(data);
  if (!data.fit_kernel() || should_split(x) || find_fold_for_sums(machine_, data) ||
      (beyond_caches && (x.layout == Layout::nlc || sums_in_double(operation, x)))) {
    return nullptr;
  }
  const Kernel* found = find_kernel_for(machine_, operation, x, beyond_caches);
  if (found == nullptr) {
    return nullptr;
  }
  Step* step = add(Way::kernel);
  step->kernel = found;
  step->nontemporal = beyond_caches;
  return step;
}

Step* Planner::passes(const Step* first, const Step* second) {
  Step* step = add(Way::passes);
  step->to_first = first == nullptr ? std::int8_t{0} : distance(step, first);
  step->to_second = distance(step, second);
  return step;
}

void Planner::begin_with(const Step* root) noexcept {
  plan_.root_ = static_cast<std::size_t>(root - plan_.steps_.data());
}

Plan plan_kernel(const Machine& machine, const Rows& operation, const View& x) {
  Plan plan;
  Planner planner(machine, plan);
  planner.begin_with(planner.kernel(operation, x));
  return plan;
}

}  // namespace halnorm::HALNORM_ABI::detail
