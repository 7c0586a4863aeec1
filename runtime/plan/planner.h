#pragma once

#include "plan/plan.h"

/// @file
/// The construction of plans, for the functions of plan.h.

namespace halnorm::HALNORM_ABI::detail {

/// Appends steps to a plan; each function returns the one that it has added.
class Planner {
 public:
  Planner(const Machine& machine, Plan& plan) noexcept : machine_(machine), plan_(plan) {}

  /// `nontemporal`: in the variant for data beyond the caches, if there is one.
  Step* kernel(const Rows& operation, const View& x, bool nontemporal = false);
  Step* sums(const Rows& operation, const Views& data);
  Step* elements(const Rows& operation, const Views& data, bool nontemporal);

  /// The operation in one kernel; null if statistics and output are made one after the other.
  Step* whole(const Rows& operation, const Views& data, bool nontemporal);

  /// The statistics by `first`, if it is not null, then the output by `second`.
  Step* passes(const Step* first, const Step* second);

  /// Begins the plan with this step.
  void begin_with(const Step* root) noexcept;
  /// Begins it with make(part, nontemporal), the step of an operation on the data or on each group
  /// of channels. Groups write normally, because the output of a group stays in a cache.
  template <class MakeStep>
  void in_groups(const Views& data, bool nontemporal, MakeStep make);

 private:
  static std::int8_t distance(const Step* from, const Step* to) noexcept {
    return static_cast<std::int8_t>(to - from);
  }
  Step* add(Step::Way way);
  Step* columns(const Fold& fold);

  const Machine& machine_;
  Plan& plan_;
};

template <class MakeStep>
void Planner::in_groups(const Views& data, bool nontemporal, MakeStep make) {
  const View& x = data.x();
  const std::int64_t channels = nontemporal ? x.C : channels_per_group(machine_, data);
  if (channels >= x.C) {
    begin_with(make(data, nontemporal));
    return;
  }
  Step* step = add(Step::Way::groups);
  step->parts = Boxes::of_channels(x, channels);
  const std::int64_t last = step->parts.size() - 1;
  step->to_first = distance(step, make(data.part(step->parts[0]), false));
  if (step->parts[last].c != channels) {
    step->to_second = distance(step, make(data.part(step->parts[last]), false));
  }
  begin_with(step);
}

}  // namespace halnorm::HALNORM_ABI::detail
