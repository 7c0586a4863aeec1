#pragma once

#include <functional>
#include <vector>

#include <Halide.h>

namespace halnorm::algorithm {

struct BlockGrid;

/// How the sums of a block's walkers come together, warp by warp.
struct Meeting {
  Halide::Func warp{"warp"};  ///< (g, of): those of a warp
  Halide::Func all{"all"};    ///< (of)
};

/// The sum of walker w of warp g.
using SumOf = std::function<Halide::Tuple(const Halide::Expr& w, const Halide::Expr& g)>;

/// `of`: what the sums belong to, (c, ...); `lanes`: walkers of a warp that still have one.
Meeting meet(const BlockGrid& grid, const Halide::Var& g, const std::vector<Halide::Var>& of,
             int lanes, const SumOf& sum);

}  // namespace halnorm::algorithm
