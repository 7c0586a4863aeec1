#pragma once

#include <cstddef>
#include <cstdint>

/// @file
/// Numbers in place of addresses, for OpenCL's memory, which has none: overlaps are found in the
/// same way as on the host.

namespace halnorm::detail {

/// A range that no other memory has.
std::byte* next_range(std::uintptr_t bytes);

/// One range for all that is said to lie in a cl_mem, however often: as large as any tensor, where
/// there are so many numbers.
std::byte* range_of(void* handle, std::uintptr_t bytes);

}  // namespace halnorm::detail
