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
  // Where the row starts in the output, and in the row the line's element: in this form Halide sees
  // that the sum of both is a multiple of `length`, and so knows an aligned store.
  Expr start = 0;
  for (size_t i = 1; i < args.size(); ++i) {
    start += args[i] * lines.y.output_buffer().dim(static_cast<int>(i)).stride();
  }
  Expr at = lines.r.y * length + lines.r.x + start / length * length;
  for (size_t i = args.size(); --i > 0;) {
    at -= args[i] * lines.y.output_buffer().dim(static_cast<int>(i)).stride();
  }
  // Likely: whole lines get a loop of their own, without masks. Clamped: Halide's check of bounds
  // does not look at conditions.
  lines.r.where(lines.r.y * length < row + start % length);
  lines.r.where(likely(0 <= at && at < row));
  std::vector<Expr> element(args.begin(), args.end());
  element[0] = clamp(likely(at), 0, row - 1);
  lines.y(element) = y(element);
  return lines;
}

}  // namespace halnorm::algorithm
