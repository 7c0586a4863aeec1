#pragma once

#include <cstddef>

/// @file
/// The loops that the floor is made of: nothing but memory traffic. All take any count and any
/// alignment; "streaming" writes past the caches where the CPU can.

namespace halnorm::bench {

/// How a loop writes.
enum class Store { Library, Plain, Streaming };  // Library: memcpy

/// Reads every element; returns a sum, so that the reads cannot be removed.
float read_all(const float* x, std::size_t count);
float read_both(const float* x, const float* dy, std::size_t count);

/// y = x.
void copy(const float* x, float* y, std::size_t count, Store store);

/// y = x + dy; Store::Library writes like Store::Plain.
void add(const float* x, const float* dy, float* y, std::size_t count, Store store);

}  // namespace halnorm::bench
