#include "dataset.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <fstream>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace demo {
namespace {

using Row = std::vector<std::string>;

/// The rows below the header, each with `columns` cells.
std::vector<Row> read_csv(const std::filesystem::path& path, std::size_t columns) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  std::vector<Row> rows;
  for (std::string line; std::getline(file, line);) {
    Row row;
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, ',');) row.push_back(cell);
    if (row.size() != columns) {
      throw std::runtime_error(path.string() + ", line " + std::to_string(rows.size() + 1) + ": " +
                               std::to_string(row.size()) + " cells, expected " +
                               std::to_string(columns));
    }
    rows.push_back(std::move(row));
  }
  if (rows.size() < 2) throw std::runtime_error(path.string() + " has no rows");
  rows.erase(rows.begin());
  return rows;
}

/// Gathers examples one by one, because a tensor is made in one step.
struct Gatherer {
  std::vector<float> values;
  std::vector<std::int64_t> labels;

  void append(std::span<const std::string> cells) {
    for (const std::string& cell : cells) values.push_back(std::stof(cell));
  }

  Examples finish(halnorm::Shape shape) && {
    shape.insert(shape.begin(), static_cast<std::int64_t>(labels.size()));
    return {.x = halnorm::Tensor::from(std::span<const float>(values), std::move(shape)),
            .labels = std::move(labels)};
  }
};

std::int64_t activity_number(std::string_view activity) {
  constexpr std::array<std::string_view, 4> activities{"Standing", "Running", "Walking",
                                                       "Badminton"};
  const auto* const found = std::ranges::find(activities, activity);
  if (found == activities.end()) {
    throw std::runtime_error("unknown activity '" + std::string(activity) + "'");
  }
  return found - activities.begin();
}

}  // namespace

Examples Examples::pick(const std::vector<std::int64_t>& numbers) const {
  halnorm::Shape shape = x.shape();
  shape[0] = static_cast<std::int64_t>(numbers.size());
  Examples picked{.x = halnorm::Tensor::empty(shape), .labels = {}};
  const std::int64_t width = x.numel() / count();
  auto* to = picked.x.data<float>();
  for (const std::int64_t number : numbers) {
    to = std::copy_n(x.data<float>() + number * width, width, to);
    picked.labels.push_back(labels.at(static_cast<std::size_t>(number)));
  }
  return picked;
}

Dataset load_breast_cancer(const std::filesystem::path& directory) {
  constexpr std::size_t features = 30;
  Gatherer train;
  Gatherer test;
  std::size_t patient = 0;
  for (const Row& row : read_csv(directory / "breast_cancer.csv", features + 1)) {
    Gatherer& part = patient++ % 4 == 3 ? test : train;
    part.append(std::span(row).first(features));
    part.labels.push_back(std::stoll(row.back()));
  }
  return {.name = "breast_cancer",
          .train = std::move(train).finish({features}),
          .test = std::move(test).finish({features})};
}

Dataset load_basic_motions(const std::filesystem::path& directory) {
  constexpr std::size_t axes = 6;
  constexpr std::size_t samples = 100;
  constexpr std::size_t heading = 4;  // split, recording, activity, axis
  Gatherer train;
  Gatherer test;
  for (const Row& row : read_csv(directory / "basic_motions.csv", heading + samples)) {
    Gatherer& part = row[0] == "test" ? test : train;
    part.append(std::span(row).subspan(heading));
    if (row[3] == "0") part.labels.push_back(activity_number(row[2]));
  }
  return {.name = "basic_motions",
          .train = std::move(train).finish({axes, samples}),
          .test = std::move(test).finish({axes, samples})};
}

}  // namespace demo
