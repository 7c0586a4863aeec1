#include "merge.h"

#include "tuple_math.h"

namespace halnorm::algorithm {

using Halide::RDom;
using Halide::Tuple;

void merge_blocks(Reduction& r) {
  if (r.grid.device) {
    // One block needs no sum. PoCL 3.1 would add it more than once: see docs/performance.md.
    r.merged(r.c) =
        r.grid.whole ? Tuple(r.block(r.c, 0, 0)) : Tuple(r.grid.device->sum_blocks(r)(r.c));
    return;
  }
  r.merged(r.c) = zeros();
  r.order = RDom(0, r.grid.cuts, 0, r.grid.groups, "order");
  r.merged(r.c) = Tuple(r.merged(r.c)) + Tuple(r.block(r.c, r.order.x, r.order.y));
}

}  // namespace halnorm::algorithm
