#pragma once

#include "plan/plan.h"

/// @file
/// The construction of plans, for the functions of plan.h.

namespace halnorm::HALNORM_ABI::detail {

/// Appends steps to a plan; each function returns the one that it has added.
class Planner {
 public:
  explicit Planner(Plan& plan) noexcept : plan_(plan) {}

  /// `nontemporal`: in the variant for data beyond the caches, if there is one.
  Step* kernel(const Rows& operation, const View& x, bool nontemporal = false);
  Step* sums(const Rows& operation, const Views& data);
  Step* elements(const Rows& operation, const Views& data, bool nontemporal);

  /// The operation in one kernel; null if statistics and output are made one after the other.
  Step* whole(const Rows& operation, const Views& data, bool nontemporal);

  /// make(part) is the step of a group of channels; null if there are not several groups.
  template <class MakeStep>
  Step* groups(const Views& data, MakeStep make);

  Step* passes() { return add(Step::Way::passes); }
  void set_first(Step* of, const Step* step) noexcept { of->to_first = distance(of, step); }
  void set_second(Step* of, const Step* step) noexcept { of->to_second = distance(of, step); }

 private:
  static std::int8_t distance(const Step* from, const Step* to) noexcept {
    return static_cast<std::int8_t>(to - from);
  }
  Step* add(Step::Way way);
  Step* columns(const Fold& fold);

  Plan& plan_;
};

template <class MakeStep>
Step* Planner::groups(const Views& data, MakeStep make) {
  const View& x = data.x();
  const std::int64_t channels = channels_per_group(data);
  if (channels >= x.C) {
    return nullptr;
  }
  Step* step = add(Step::Way::groups);
  step->parts = Boxes::of_channels(x, channels);
  const std::int64_t last = step->parts.size() - 1;
  set_first(step, make(data.part(step->parts[0])));
  if (step->parts[last].c != channels) {
    set_second(step, make(data.part(step->parts[last])));
  }
  return step;
}

/// The plan of an operation that computes statistics and output. Groups write normally, because the
/// output of a group stays in a cache.
template <class MakeStep>
Plan plan_in_groups(const Views& data, bool nontemporal, MakeStep make) {
  Plan plan;
  Planner planner(plan);
  const auto make_group = [&](const Views& part) { return make(planner, part, false); };
  if (nontemporal || planner.groups(data, make_group) == nullptr) {
    make(planner, data, nontemporal);
  }
  return plan;
}

}  // namespace halnorm::HALNORM_ABI::detail
