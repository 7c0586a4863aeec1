#include "lines.h"

#include <vector>

namespace halnorm::algorithm {

using Halide::clamp, Halide::likely;
using Halide::Expr, Halide::Func, Halide::Var;

Lines in_lines(const Func& y, const Domain& d, int length) {
  const std::vector<Var> args = y.args();
  Lines lines{Func(y.name() + "_in_lines"), {}};
  lines.y(args) = Halide::undef(y.type());
  const Expr row = d.layout == Layout::NCL ? d.L : d.C;
  lines.r = Halide::RDom(0, length, 0, (row + 2 * length - 2) / length);
  // The start of the row in the output, and the element of the line in the row. In this form Halide
  // sees that their sum is a multiple of `length`, and emits an aligned store.
  Expr start = 0;
  for (size_t i = 1; i < args.size(); ++i) {
    start += args[i] * lines.y.output_buffer().dim(static_cast<int>(i)).stride();
  }
  Expr at = lines.r.y * length + lines.r.x + start / length * length;
  for (size_t i = args.size(); --i > 0;) {
    at -= args[i] * lines.y.output_buffer().dim(static_cast<int>(i)).stride();
  }
  // likely(): whole lines get a separate loop without masks. clamp(): Halide's check of bounds
  // ignores conditions.
  lines.r.where(lines.r.y * length < row + start % length);
  lines.r.where(likely(0 <= at && at < row));
  std::vector<Expr> element(args.begin(), args.end());
  element[0] = clamp(likely(at), 0, row - 1);
  lines.y(element) = y(element);
  return lines;
}

}  // namespace halnorm::algorithm
