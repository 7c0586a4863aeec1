#pragma once

#include <string>
#include <vector>

namespace accuracy {

/// One figure: the library's error on an input, and published results of others on a similar one.
struct Row {
  std::string input, quantity;
  double bound, ours;
  const char* pytorch;
  const char* oneflow;

  [[nodiscard]] bool holds() const { return ours <= bound; }
};

/// The library's figure is the worst of every target that runs here, in both layouts.
std::vector<Row> all_rows();

}  // namespace accuracy
