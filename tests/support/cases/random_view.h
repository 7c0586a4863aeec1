#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "halnorm/tensor.h"
#include "support/cases/shapes.h"

/// @file
/// Tensors of random strides, over memory that must not change otherwise.

class RandomView {
 public:
  using Random = std::mt19937_64;

  /// Axes in any order in memory, with gaps, backwards; if elements may share memory, with strides
  /// of 0 as well. Half of the views are dense in one of the two usual orders.
  RandomView(Random& random, const halnorm::Shape& shape, halnorm::DType dtype, bool may_share);

  [[nodiscard]] halnorm::Tensor tensor();

  /// Assigns values in row-major order; of elements that share memory the last one stays.
  void assign(const std::vector<double>& values);
  [[nodiscard]] std::vector<double> values() const;

  [[nodiscard]] bool shares_places() const { return shares_; }
  /// Whether the memory around and between the elements is unchanged.
  [[nodiscard]] bool surroundings_intact() const;
  [[nodiscard]] std::string str() const;

 private:
  void choose_strides(Random& random, bool may_share);
  [[nodiscard]] std::vector<std::size_t> places() const;

  halnorm::Shape shape_;
  std::vector<std::int64_t> strides_;
  halnorm::DType dtype_;
  std::size_t size_;
  std::size_t origin_ = 0;  ///< byte offset of the element with all indices 0
  bool shares_ = false;
  std::vector<std::byte> memory_;
};
