// Prints the errors of the library, on inputs that other implementations fail, as a page in
// Markdown. Exits with 1 if a bound does not hold.

#include <algorithm>
#include <cstdio>
#include <string>

#include "cases.h"
#include "halnorm/kernels.h"

namespace {

void print_head() {
  std::string targets;
  for (const std::string& target : halnorm::targets()) {
    targets += (targets.empty() ? "" : ", ") + target;
  }
  std::printf(
      "# Accuracy\n\n"
      "`./dev accuracy` writes this page; each bound is a test too. The reference is computed in\n"
      "two passes in long double. *Ours* is the largest error over the targets %s,\n"
      "each in both layouts. An error of y, dx or dweight is relative to the largest value of its\n"
      "tensor, an error of a variance or a mean to the exact value. Random batches have 1024\n"
      "normal values in each of 64 channels; rows with errors in ulp have 256 channels.\n\n"
      "The columns of PyTorch (2.13) and OneFlow (0.9.0) are not made by this program: they are\n"
      "published results on the CPU for similar inputs. They are absolute errors of y, the\n"
      "computed variance (the exact one is about 0.97), or its relative error for float64.\n\n",
      targets.c_str());
}

}  // namespace

int main() {
  print_head();
  std::printf("| input | quantity | bound | ours | holds | PyTorch | OneFlow |\n");
  std::printf("|-------|----------|------:|-----:|-------|---------|---------|\n");
  const auto rows = accuracy::all_rows();
  for (const accuracy::Row& row : rows) {
    std::printf("| %s | %s | %g | %.1e | %s | %s | %s |\n", row.input.c_str(), row.quantity.c_str(),
                row.bound, row.ours, row.holds() ? "yes" : "**no**", row.pytorch, row.oneflow);
  }
  return std::all_of(rows.begin(), rows.end(), [](const auto& row) { return row.holds(); }) ? 0 : 1;
}
