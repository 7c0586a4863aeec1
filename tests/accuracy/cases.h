#pragma once

#include <string>
#include <vector>

namespace accuracy {

/// One figure: how far off we are on an input, and what others were seen to do with the like of it.
struct Row {
  std::string input, quantity;
  double bound, ours;
  const char* pytorch;
  const char* oneflow;

  [[nodiscard]] bool holds() const { return ours <= bound; }
};

/// Ours is the worst of every target that runs here, in both layouts.
std::vector<Row> all_rows();

}  // namespace accuracy
