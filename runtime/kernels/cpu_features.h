#pragma once

#include <cstdint>
#include <string_view>

namespace halnorm::detail {

/// Whether this CPU (and its operating system) executes the instructions of a target of ours.
bool cpu_runs(std::string_view target) noexcept;

/// Bytes of the last-level cache that a core uses, as the CPU tells them; 0 if it does not.
std::int64_t last_level_cache() noexcept;

}  // namespace halnorm::detail
