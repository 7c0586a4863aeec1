#pragma once

#include <string_view>

namespace halnorm::detail {

/// Whether this CPU (and its operating system) executes the instructions of a target of ours.
bool cpu_runs(std::string_view target) noexcept;

}  // namespace halnorm::detail
