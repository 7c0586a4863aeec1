#pragma once

#include <halnorm/halnorm.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace demo {

struct Examples {
  halnorm::Tensor x;                 ///< (N, C) or (N, C, L), float32
  std::vector<std::int64_t> labels;  ///< N

  [[nodiscard]] std::int64_t count() const { return x.size(0); }
  /// The examples of these numbers, in this order.
  [[nodiscard]] Examples pick(const std::vector<std::int64_t>& numbers) const;
};

struct Dataset {
  std::string name;
  Examples train, test;
};

/// 569 patients, 30 unscaled measurements each; every fourth patient is in the test set. @throws
/// std::runtime_error if the file cannot be read or does not have this form.
Dataset load_breast_cancer(const std::filesystem::path& directory);

/// 40 + 40 recordings (6 axes x 100 samples) of 4 activities, split as the archive splits them.
/// @throws std::runtime_error if a file cannot be read or does not have this form.
Dataset load_basic_motions(const std::filesystem::path& directory);

}  // namespace demo
