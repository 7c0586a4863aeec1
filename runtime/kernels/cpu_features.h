#pragma once

#include <cstdint>
#include <string_view>

namespace halnorm::detail {

/// Whether this CPU and its operating system support a target.
bool cpu_runs(std::string_view target) noexcept;

/// Whether the CPU is AMD's. Its prefetchers follow as many streams as the sums of rows have; those
/// of Intel's are helped by prefetches. Not known of others.
bool is_amd() noexcept;

/// The size in bytes of the last-level cache that a core uses; 0 if the CPU does not report it.
std::int64_t last_level_cache() noexcept;

}  // namespace halnorm::detail
