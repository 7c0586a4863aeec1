#pragma once

#include <cstdint>
#include <string_view>

#include "halnorm/version.h"

namespace halnorm::HALNORM_ABI::detail {

/// Whether this CPU and the operating system support a target.
bool cpu_runs(std::string_view target) noexcept;

/// Whether the CPU is AMD's. Hardware prefetchers of AMD follow the rows of a sum without
/// prefetches; those of Intel do not. Other CPUs count as Intel's.
bool is_amd() noexcept;

/// The size in bytes of the last-level cache that a core uses; 0 if the CPU does not report it.
std::int64_t last_level_cache() noexcept;

}  // namespace halnorm::HALNORM_ABI::detail
