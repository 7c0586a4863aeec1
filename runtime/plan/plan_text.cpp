#include <string>

#include "plan/plan.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

using Way = Step::Way;

std::string text_of(const Step& step);

std::string text_of_columns(const Step& step) {
  std::string text =
      "in rows of " + std::to_string(step.fold.columns()) + " columns (" + text_of(step.first());
  if (step.has_second()) {
    text += "; the rows left over: " + text_of(step.second());
  }
  return text + ")";
}

std::string text_of_groups(const Step& step) {
  std::string text = std::to_string(step.parts.size()) + " groups of channels side by side (" +
                     text_of(step.first());
  if (step.has_second()) {
    text += "; the last: " + text_of(step.second());
  }
  return text + ")";
}

std::string text_of(const Step& step) {
  switch (step.way) {
    case Way::kernel:
      return step.kernel->name;
    case Way::boxes:
      return step.kernel->name + (" on " + std::to_string(step.parts.size())) +
             " parts, one by one";
    case Way::split:
      return step.kernel->name + (" on " + std::to_string(step.parts.size())) +
             " parts side by side";
    case Way::columns:
      return text_of_columns(step);
    case Way::groups:
      return text_of_groups(step);
    case Way::passes:
      return (step.has_first() ? text_of(step.first()) + ", then " : "") + text_of(step.second());
  }
  return "";
}

}  // namespace

std::string Plan::str() const { return text_of(root()); }

}  // namespace halnorm::HALNORM_ABI::detail
