#pragma once

#include <cstddef>
#include <cstdint>

/// @file
/// The loops that the floor is made of: nothing but memory traffic, whatever the bytes stand for,
/// so that all dtypes are measured against the same. All take any count of 32-bit words;
/// "streaming" writes past the caches where the CPU can.

namespace halnorm::bench {

using Word = std::uint32_t;

/// How a loop writes.
enum class Store { Library, Plain, Streaming };  // Library: memcpy

/// Reads every element; returns a sum, so that the reads cannot be removed.
Word read_all(const Word* x, std::size_t count);
Word read_both(const Word* x, const Word* dy, std::size_t count);

/// y = x.
void copy(const Word* x, Word* y, std::size_t count, Store store);

/// y = x + dy, word by word; Store::Library writes like Store::Plain.
void add(const Word* x, const Word* dy, Word* y, std::size_t count, Store store);

}  // namespace halnorm::bench
