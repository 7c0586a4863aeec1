#pragma once

#include <cstddef>
#include <cstdint>

#include "halnorm/version.h"

/// @file
/// Calls of the CUDA driver in this thread's context and stream (see cuda.h). Each throws a
/// DeviceError that names `what`, if the driver reports an error. A build without CUDA has
/// no_cuda.cpp instead.

namespace halnorm::HALNORM_ABI::cuda {

/// Makes Halide use this thread's context and stream.
/// @throws DeviceError in a build without cuda.
void install();

void copy(const char* what, void* to, const void* from, std::size_t bytes);

/// Writes a value of 2, 4 or 8 bytes `count` times.
void fill(const char* what, const void* to, const void* value, std::size_t size, std::size_t count);

/// Waits for the stream.
void wait(const char* what);

void free(std::uint64_t address);

/// Frees everything that is kept in the context, as far as possible if the context has failed.
void give_back(const char* what);

}  // namespace halnorm::HALNORM_ABI::cuda
