#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// @file
/// The shapes of every numeric test.

namespace shapes {

/// A batch of n rows, c channels and l positions; l = 1 also stands for (N, C).
struct Extents {
  std::int64_t n = 0;
  std::int64_t c = 0;
  std::int64_t l = 0;
  const char* reason = "";

  [[nodiscard]] std::int64_t numel() const { return n * c * l; }
  [[nodiscard]] std::string str() const;
};

/// At least two values per channel: training and inference.
std::vector<Extents> trainable();

/// The smaller half of trainable(), for tests that repeat each shape many times.
std::vector<Extents> small();

/// One value per channel: inference only.
std::vector<Extents> single_value();

/// No values at all.
std::vector<Extents> without_values();

}  // namespace shapes
