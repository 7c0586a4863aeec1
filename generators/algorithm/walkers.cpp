#include "walkers.h"

#include "pairs.h"

namespace halnorm::algorithm {

using Halide::cast;
using Halide::clamp;
using Halide::Expr;
using Halide::Func;
using Halide::max;
using Halide::min;
using Halide::RDom;
using Halide::select;
using Halide::Tuple;

namespace {

/// Of numbers that are not negative, which divides in fewer instructions.
Expr div_up(const Expr& a, const Expr& b) {
  return cast<int>(cast<unsigned>(a + b - 1) / cast<unsigned>(b));
}

/// Two float64 as the halves of their bits: Halide 21 shuffles nothing wider than 32 bits.
Tuple in_words(const Tuple& pair) {
  std::vector<Expr> words;
  for (const Expr& value : {pair[0], pair[1]}) {
    const Expr bits = Halide::reinterpret(Halide::UInt(64), cast<double>(value));
    words.push_back(cast<std::uint32_t>(bits >> 32));
    words.push_back(cast<std::uint32_t>(bits));
  }
  return Tuple(words);
}

Tuple of_words(const Tuple& words) {
  const auto value = [](const Expr& high, const Expr& low) {
    const Expr bits = (cast<std::uint64_t>(high) << 32) | cast<std::uint64_t>(low);
    return Halide::reinterpret(Halide::Float(64), bits);
  };
  return {value(words[0], words[1]), value(words[2], words[3])};
}

/// What a warp's walkers came by, each time the upper half added to the lower, down to two. (Where
/// one lane is left, Halide 21 takes the first value for both.)
Tuple sum_of_halves(BlockSums& b, const BlockGrid& g) {
  const auto at = [&](const Expr& w) { return of_words(b.halves.back()(w, b.g, b.c, b.jl, b.jn)); };
  Tuple so_far = b.walk(b.w, b.g, b.c, b.jl, b.jn);
  for (int width = g.walkers.width / 2; width > 1; width /= 2) {
    b.halves.emplace_back("half");
    b.halves.back()(b.w, b.g, b.c, b.jl, b.jn) = in_words(so_far);
    so_far = at(b.w) + at(b.w + width);
  }
  return so_far;
}

/// What a walker has to know, worked out once: where it stands, where a turn leads, and how many
/// there are. Its turns lead along the row, or down the rows where there are more of these; and all
/// again in each turn the other way.
struct Path {
  Expr l, n;              ///< where it stands
  Expr turn_l, turn_n;    ///< how far a turn leads,
  Expr other_l, other_n;  ///< and one the other way
  Expr turns, others;     ///< its turns in this block, and those the other way

  [[nodiscard]] Tuple packed() const {
    return Tuple(std::vector<Expr>{l, n, turn_l, turn_n, other_l, other_n, turns, others});
  }
  static Path of(const Func& path, const BlockSums& b) {
    const Tuple p = path(b.w, b.g, b.jl, b.jn);
    return {p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]};
  }
  [[nodiscard]] Expr l_at(const Expr& turn, const Expr& other) const {
    return l + turn * turn_l + other * other_l;
  }
  [[nodiscard]] Expr n_at(const Expr& turn, const Expr& other) const {
    return n + turn * turn_n + other * other_n;
  }
};

/// The most turns of a walker in any block, and those the other way; which way these are.
struct Turns {
  Expr along_row, most, others;

  explicit Turns(const BlockGrid& g) {
    const Expr along = div_up(g.row_length, g.across());
    const Expr below = div_up(g.rows, g.down());
    along_row = g.domain.layout == Layout::NCL && along > below;
    most = select(along_row, along, below);
    others = select(along_row, below, along);
  }
};

void define_path(BlockSums& b, const BlockGrid& g) {
  const Expr across = g.across();
  const Expr down = g.down();
  const Expr along_row = Turns(g).along_row;
  const Expr walker = cast<unsigned>(b.g * g.walkers.width + b.w);
  Path p;
  p.n = cast<int>(walker / cast<unsigned>(across));
  p.l = cast<int>(walker % cast<unsigned>(across));
  p.turn_l = select(along_row, across, 0);
  p.turn_n = select(along_row, 0, down);
  p.other_l = select(along_row, 0, across);
  p.other_n = select(along_row, down, 0);
  const Expr left_l = max(g.length_at(b.jl) - p.l, 0);
  const Expr left_n = max(g.rows_at(b.jn) - p.n, 0);
  p.turns = div_up(select(along_row, left_l, left_n), select(along_row, across, down));
  p.others = select(p.n < down,
                    div_up(select(along_row, left_n, left_l), select(along_row, down, across)), 0);
  b.path(b.w, b.g, b.jl, b.jn) = p.packed();
}

Tuple term(const BlockSums& b, const BlockGrid& g, const Terms& terms, const Expr& l, const Expr& n,
           const Expr& counts) {
  return terms({within(g.first_l(b.jl) + l, g.domain.L - 1), b.c,
                within(g.first_n(b.jn) + n, g.domain.N - 1), b.jl, b.jn, counts});
}

/// What each walker comes by. In the last step those that have fewer turns left stand in their
/// last.
void define_walk(BlockSums& b, const BlockGrid& g, const Terms& terms) {
  const int together = g.walkers.together;
  const Turns turns(g);
  const Path p = Path::of(b.path, b);
  b.walk(b.w, b.g, b.c, b.jl, b.jn) = zeros();
  const auto so_far = [&] { return Tuple(b.walk(b.w, b.g, b.c, b.jl, b.jn)); };

  b.full = RDom(0, turns.most / together, 0, turns.others, "full");
  const Expr steps = p.turns / together;
  b.full.where(b.full.x < steps && b.full.y < p.others);
  b.walk(b.w, b.g, b.c, b.jl, b.jn) =
      so_far() + sum_in_pairs(0, together, [&](int i) {
        const Expr turn = b.full.x * together + i;
        return term(b, g, terms, p.l_at(turn, b.full.y), p.n_at(turn, b.full.y), Expr());
      });

  b.rest = RDom(0, turns.others, "rest");
  const Expr first = steps * together;
  b.rest.where(first < p.turns && b.rest.x < p.others);
  b.walk(b.w, b.g, b.c, b.jl, b.jn) = so_far() + sum_in_pairs(0, together, [&](int i) {
                                        const Expr turn = min(first + i, p.turns - 1);
                                        return term(b, g, terms, p.l_at(turn, b.rest.x),
                                                    p.n_at(turn, b.rest.x), first + i < p.turns);
                                      });
}

}  // namespace

Expr Place::or_zero(const Expr& value) const {
  return counts.defined() ? select(counts, value, cast(value.type(), 0)) : value;
}

BlockSizes BlockSizes::reading(int tensors) const {
  BlockSizes sizes = *this;
  while (tensors > 1 && sizes.walkers.together > 1) {
    sizes.walkers.together /= 2;
    tensors = (tensors + 1) / 2;
  }
  return sizes;
}

Expr BlockGrid::across() const {
  if (domain.layout == Layout::NLC) {
    return 1;
  }
  // As many as divide the row into equal turns.
  return clamp(div_up(row_length, div_up(row_length, count())), 1, count());
}

Expr BlockGrid::down() const {
  return domain.layout == Layout::NLC ? count() : max(count() / across(), 1);
}

Expr BlockGrid::count() const { return warps * walkers.width; }

void BlockGrid::cut_for_walkers(const BlockSizes& sizes) {
  warps = walkers.warps;
  if (whole) {
    row_length = domain.L;
    rows = domain.N;
    if (domain.layout == Layout::NCL) {
      // Each walker costs as much as some values. (In NLC Halide would loop over all blocks to find
      // out how much they share.)
      const int least = walkers.width * walkers.together;
      warps = clamp(domain.L * domain.N / least, 1, walkers.warps);
    }
    return;
  }
  if (domain.layout == Layout::NLC) {
    const Expr columns = div_up(domain.C, walkers.channels);
    row_length = 1;
    rows = max(domain.N / max(sizes.blocks / columns, 1), sizes.min_rows);
    return;
  }
  const Expr share = domain.L * domain.C * domain.N / sizes.blocks;
  const Expr values = max(share / walkers.width * walkers.width, sizes.block_values);
  row_length = min(domain.L, values);
  rows = max(values / max(domain.L, 1), 1);
}

void sum_by_walkers(BlockSums& b, const BlockGrid& g, const Terms& terms) {
  const Walkers& walkers = g.walkers;
  define_path(b, g);
  define_walk(b, g, terms);
  b.walked(b.w, b.g, b.c, b.jl, b.jn) =
      walkers.halving ? sum_of_halves(b, g) : Tuple(b.walk(b.w, b.g, b.c, b.jl, b.jn));
  b.warp(b.g, b.c, b.jl, b.jn) = sum_in_pairs(0, walkers.halving ? 2 : walkers.width, [&](int w) {
    return Tuple(b.walked(w, b.g, b.c, b.jl, b.jn));
  });
  b.sums(b.c, b.jl, b.jn) = sum_in_pairs(0, walkers.warps, [&](int i) {
    const Tuple sums = b.warp(min(i, g.warps - 1), b.c, b.jl, b.jn);
    return Tuple(select(i < g.warps, sums[0], cast<double>(0)),
                 select(i < g.warps, sums[1], cast<double>(0)));
  });
}

}  // namespace halnorm::algorithm
