#pragma once

#include <cstddef>
#include <cstdint>

#include "halnorm/version.h"

/// @file
/// Ranges of numbers that replace addresses for OpenCL memory, which has no addresses. They let
/// overlaps be detected in the same way as on the host.

namespace halnorm::HALNORM_ABI::detail {

/// A range that is disjoint from the ranges of all other memory.
std::byte* next_range(std::uintptr_t bytes);

/// The range of a cl_mem: the same one for every tensor on it. It is as large as any tensor, if the
/// address space allows.
std::byte* range_of(void* handle, std::uintptr_t bytes);

}  // namespace halnorm::HALNORM_ABI::detail
