#pragma once

#include <cstddef>
#include <cstdint>

/// @file
/// The loops of the floor: memory traffic alone, in 32-bit words for all dtypes.

namespace halnorm::bench {

using Word = std::uint32_t;

/// How a loop writes. Library: memcpy; Nontemporal: past the caches if the CPU can.
enum class Store { Library, Plain, Nontemporal };

/// Reads x, and dy unless it is null; returns a sum, so that the reads cannot be removed.
Word read(const Word* x, const Word* dy, std::size_t count);

/// y = x, or y = x + dy, for which Store::Library writes like Store::Plain.
void write(const Word* x, const Word* dy, Word* y, std::size_t count, Store store);

}  // namespace halnorm::bench
