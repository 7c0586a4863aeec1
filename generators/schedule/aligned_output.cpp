#include "aligned_output.h"

#include <vector>

namespace halnorm::schedule {

using Halide::clamp, Halide::likely;
using Halide::Expr, Halide::Func, Halide::Var;

AlignedOutput aligned_output(const Func& y, const algorithm::Domain& d, int length) {
  const std::vector<Var> args = y.args();
  AlignedOutput aligned{Func(y.name() + "_aligned"), {}};
  aligned.y(args) = Halide::undef(y.type());
  const Expr row = d.layout == algorithm::Layout::NCL ? d.L : d.C;
  aligned.r = Halide::RDom(0, length, 0, (row + 2 * length - 2) / length);
  // The start of the row in the output, and the element of the line in the row. In this form Halide
  // sees that their sum is a multiple of `length`, and emits an aligned store.
  Expr start = 0;
  for (size_t i = 1; i < args.size(); ++i) {
    start += args[i] * aligned.y.output_buffer().dim(static_cast<int>(i)).stride();
  }
  Expr at = aligned.r.y * length + aligned.r.x + start / length * length;
  for (size_t i = args.size(); --i > 0;) {
    at -= args[i] * aligned.y.output_buffer().dim(static_cast<int>(i)).stride();
  }
  // likely(): whole lines get a separate loop without masks. clamp(): Halide's check of bounds
  // ignores conditions.
  aligned.r.where(aligned.r.y * length < row + start % length);
  aligned.r.where(likely(0 <= at && at < row));
  std::vector<Expr> element(args.begin(), args.end());
  element[0] = clamp(likely(at), 0, row - 1);
  aligned.y(element) = y(element);
  return aligned;
}

}  // namespace halnorm::schedule
