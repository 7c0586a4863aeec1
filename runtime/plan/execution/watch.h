#pragma once

#include <chrono>

#include "plan/plan.h"
#include "plan/view.h"

namespace halnorm::HALNORM_ABI::detail {

/// Whether calls are reported, to the sink or to the standard error stream.
bool is_watched() noexcept;

/// Reports a call to the sink, or to the standard error stream.
void report(const char* function, const Plan& plan, const View& x, double seconds) noexcept;

/// Runs an operation's plan and reports it.
template <class Run>
void watched(const char* function, const Plan& plan, const View& x, Run run) {
  if (!is_watched()) {
    run();
    return;
  }
  const auto start = std::chrono::steady_clock::now();
  run();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  report(function, plan, x, taken.count());
}

}  // namespace halnorm::HALNORM_ABI::detail
