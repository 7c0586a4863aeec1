#pragma once

#include <cstddef>
#include <cstdint>

/// @file
/// Calls of CUDA's driver in this thread's context and stream (see cuda.h). Each throws
/// DeviceError, named after `what`, if the driver refuses. A build without cuda has no_cuda.cpp
/// instead.

namespace halnorm::cuda {

/// Makes Halide ask for this thread's context and stream.
/// @throws DeviceError in a build without cuda.
void install();

void copy(const char* what, void* to, const void* from, std::size_t bytes);

/// `count` times a value of 2, 4 or 8 bytes.
void fill(const char* what, const void* to, const void* value, std::size_t size, std::size_t count);

/// Waits for the stream.
void wait(const char* what);

void free(std::uint64_t address);

/// Gives back what is kept in the context, as far as that goes if it has failed.
void give_back(const char* what);

}  // namespace halnorm::cuda
