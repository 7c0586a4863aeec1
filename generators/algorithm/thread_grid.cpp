#include "thread_grid.h"

#include <map>
#include <string>

#include "tuple_math.h"

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

/// Division of numbers that are not negative, which takes fewer instructions.
Expr div_up(const Expr& a, const Expr& b) {
  return cast<int>(cast<unsigned>(a + b - 1) / cast<unsigned>(b));
}

/// The same for extents, from which Halide derives bounds; it does not follow them through casts.
Expr quotient_up(const Expr& a, const Expr& b) { return (a + b - 1) / b; }

/// Two float64 as halves of their bits, because Halide 21 shuffles at most 32 bits.
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

/// Adds the upper half of a warp's sums to the lower half, repeatedly, down to two. (With one lane,
/// Halide 21 would use the first value for both.)
Tuple sum_by_shuffles(BlockSums& b, const BlockGrid& g) {
  const auto at = [&](const Expr& w) {
    return of_words(b.shuffled.back()(w, b.g, b.c, b.jl, b.jn));
  };
  Tuple so_far = b.thread_sum(b.w, b.g, b.c, b.jl, b.jn);
  for (int width = g.threads.width / 2; width > 1; width /= 2) {
    b.shuffled.emplace_back("shuffled");
    b.shuffled.back()(b.w, b.g, b.c, b.jl, b.jn) = in_words(so_far);
    so_far = at(b.w) + at(b.w + width);
  }
  return so_far;
}

/// The path of a thread through its block, computed once: its position, the step of its inner loop
/// ("turn") and the number of turns; along a row all of these count pieces. The inner loop goes
/// along the row, or down the rows if there are more rows; the outer loop goes the other way.
struct Path {
  Expr l, n;              ///< the position
  Expr turn_l, turn_n;    ///< the step of the inner loop
  Expr other_l, other_n;  ///< the step of the outer loop
  Expr turns, others;     ///< the extents of the two loops in this block

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

/// The largest extents of the two loops in any block, and the direction of the inner one.
struct Turns {
  Expr along_row, most, others;

  explicit Turns(const BlockGrid& g) {
    const Expr along = div_up(g.row_length / g.piece(), g.across());
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
  const Expr thread = cast<unsigned>(b.g * g.threads.width + b.w);
  Path p;
  p.n = cast<int>(thread / cast<unsigned>(across));
  p.l = cast<int>(thread % cast<unsigned>(across));
  p.turn_l = select(along_row, across, 0);
  p.turn_n = select(along_row, 0, down);
  p.other_l = select(along_row, 0, across);
  p.other_n = select(along_row, down, 0);
  const Expr left_l = max(g.length_at(b.jl) / g.piece() - p.l, 0);
  const Expr left_n = max(g.rows_at(b.jn) - p.n, 0);
  p.turns = div_up(select(along_row, left_l, left_n), select(along_row, across, down));
  p.others = select(p.n < down,
                    div_up(select(along_row, left_n, left_l), select(along_row, down, across)), 0);
  b.path(b.w, b.g, b.jl, b.jn) = p.packed();
}

/// The values that a thread loads at once: several turns of a piece each or, if rows do not consist
/// of pieces, as many turns of one value.
struct Step {
  const BlockGrid& g;
  Expr turns;  ///< per step

  explicit Step(const BlockGrid& grid)
      : g(grid),
        turns(select(g.in_pieces(), g.threads.unroll / g.threads.piece, g.threads.unroll)) {}

  /// The turn of value e of piece t, and its place in the turn.
  [[nodiscard]] Expr turn(const Expr& e, const Expr& t) const {
    return select(g.in_pieces(), t, t * g.threads.piece + e);
  }
  [[nodiscard]] Expr in_piece(const Expr& e) const { return select(g.in_pieces(), e, 0); }
};

/// One value of a step. In the tail, values beyond the data count 0.
Place place(const BlockSums& b, const BlockGrid& g, const Path& p, const Expr& e, const Expr& t,
            const Expr& turn, const Expr& other, bool full) {
  const Step step(g);
  const Expr first = full ? turn * step.turns : p.turns / step.turns * step.turns;
  const Expr wanted = first + step.turn(e, t);
  const Expr at = full ? wanted : min(wanted, p.turns - 1);
  const Expr l = (b.jl * (g.row_length / g.piece()) + p.l_at(at, other)) * g.piece();
  return {within(l + step.in_piece(e), g.domain.L - 1),
          b.c,
          within(g.first_n(b.jn) + p.n_at(at, other), g.domain.N - 1),
          b.jl,
          b.jn,
          full ? Expr() : wanted < p.turns};
}

/// The sum of the terms of a full step. The tensors' elements go through b.pieces, which are loaded
/// as vectors.
Tuple sum_of_step(BlockSums& b, const BlockGrid& g, const Terms& terms) {
  const Path p = Path::of(b.path, b);
  const int piece = g.threads.piece;
  std::map<std::string, Func> of_tensor;
  const auto piece_of = [&](const Func& tensor) {
    const auto [entry, is_new] = of_tensor.try_emplace(tensor.name(), tensor.name() + "_piece");
    if (is_new) {
      const Place any = place(b, g, p, b.e, b.t, b.turn, b.other, true);
      entry->second(b.e, b.t, b.w, b.g, b.c, b.jl, b.jn, b.turn, b.other) =
          any.of(tensor, g.domain);
      b.pieces.push_back(entry->second);
    }
    return entry->second;
  };
  return pairwise_sum(0, g.threads.unroll, [&](int i) {
    Place at = place(b, g, p, i % piece, i / piece, b.main.x, b.main.y, true);
    if (piece > 1) {
      at.loaded = [&, i](const Func& tensor) {
        return piece_of(tensor)(i % piece, i / piece, b.w, b.g, b.c, b.jl, b.jn, b.main.x,
                                b.main.y);
      };
    }
    return terms(at);
  });
}

/// The sum of the terms of the tail. Its values are loaded one by one, because Halide 21 loses
/// Funcs that are used under a condition if others share a loop.
Tuple sum_of_tail(const BlockSums& b, const BlockGrid& g, const Terms& terms) {
  const Path p = Path::of(b.path, b);
  const int piece = g.threads.piece;
  return pairwise_sum(0, g.threads.unroll, [&](int i) {
    return terms(place(b, g, p, i % piece, i / piece, 0, b.tail.x, false));
  });
}

/// The sums of each thread. In the last step, threads with fewer turns stay at their last one.
void define_thread_sum(BlockSums& b, const BlockGrid& g, const Terms& terms) {
  const Turns turns(g);
  const Path p = Path::of(b.path, b);
  const Step step(g);
  b.thread_sum(b.w, b.g, b.c, b.jl, b.jn) = zeros();
  const auto so_far = [&] { return Tuple(b.thread_sum(b.w, b.g, b.c, b.jl, b.jn)); };

  b.main = RDom(0, turns.most / step.turns, 0, turns.others, "main");
  b.main.where(b.main.x < p.turns / step.turns && b.main.y < p.others);
  b.thread_sum(b.w, b.g, b.c, b.jl, b.jn) = so_far() + sum_of_step(b, g, terms);

  b.tail = RDom(0, turns.others, "tail");
  b.tail.where(p.turns % step.turns > 0 && b.tail.x < p.others);
  b.thread_sum(b.w, b.g, b.c, b.jl, b.jn) = so_far() + sum_of_tail(b, g, terms);
}

}  // namespace

Expr Place::or_zero(const Expr& value) const {
  return counts.defined() ? select(counts, value, cast(value.type(), 0)) : value;
}

BlockSizes BlockSizes::reading(int tensors) const {
  BlockSizes sizes = *this;
  if (tensors > 1) {
    sizes.channels_apart = channels_apart_of_several;
  }
  while (tensors > 1 && sizes.threads.unroll > sizes.threads.piece) {
    sizes.threads.unroll /= 2;
    tensors = (tensors + 1) / 2;
  }
  return sizes;
}

Expr BlockGrid::in_pieces() const {
  return threads.piece > 1 ? domain.L % threads.piece == 0 : Halide::Internal::const_true();
}

Expr BlockGrid::piece() const { return select(in_pieces(), threads.piece, 1); }

Expr BlockGrid::across(const Expr& pieces) const {
  if (domain.layout == Layout::NLC) {
    return 1;
  }
  // As many threads as divide the row into equal turns.
  return clamp(div_up(pieces, div_up(pieces, count())), 1, count());
}

Expr BlockGrid::down(const Expr& pieces) const {
  return domain.layout == Layout::NLC ? count() : max(count() / across(pieces), 1);
}

Expr BlockGrid::count() const { return warps * threads.width; }

void BlockGrid::cut_for_threads(const BlockSizes& sizes) {
  const bool along_rows = domain.layout == Layout::NCL;
  warps = threads.warps;
  if (whole) {
    row_length = domain.L;
    rows = domain.N;
    if (along_rows) {
      // Each thread costs as much as some values. (In NLC Halide would loop over all blocks to
      // compute the size of the shared memory.)
      const int least = threads.width * threads.unroll;
      warps = clamp(domain.L * domain.N / least, 1, threads.warps);
    }
  } else if (along_rows) {
    cut_for_threads_along_rows(sizes);
  } else {
    const Expr columns = quotient_up(domain.C, threads.channels);
    const Expr in_channel = clamp(sizes.blocks / columns, 1, sizes.most_in_channel);
    row_length = 1;
    // Whole steps of all threads, because a partial step costs as much as a whole one. Or up to a
    // sixteenth more blocks, so that a few rows do not add a step to each block.
    const int step = threads.warps * threads.width * threads.unroll;
    const Expr share = quotient_up(domain.N, in_channel) / 16 * 15;
    rows = max(quotient_up(share, step) * step, sizes.min_rows);
  }
}

/// Cuts rows into equal parts, or joins rows, until a block has its share of values. The number of
/// blocks is limited to those that a device runs at once: one more block would take the same time
/// again.
void BlockGrid::cut_for_threads_along_rows(const BlockSizes& sizes) {
  const Expr of_channel = domain.L * domain.N;
  const Expr share = max(of_channel * domain.C / sizes.blocks, of_channel / sizes.most_in_channel);
  const Expr values = max(share, sizes.block_values);
  const Expr part = quotient_up(domain.L, max(domain.L / values, 1));
  row_length = max(min(domain.L, quotient_up(part, threads.width) * threads.width), 1);
  rows = max(quotient_up(values, max(domain.L, 1)), 1);
}

void sum_by_threads(BlockSums& b, const BlockGrid& g, const Terms& terms) {
  const ThreadGrid& threads = g.threads;
  define_path(b, g);
  define_thread_sum(b, g, terms);
  b.shared_sum(b.w, b.g, b.c, b.jl, b.jn) =
      threads.warp_shuffle ? sum_by_shuffles(b, g) : Tuple(b.thread_sum(b.w, b.g, b.c, b.jl, b.jn));
  b.across_warps =
      add_across_warps(g, b.g, {b.c, b.jl, b.jn}, threads.warp_shuffle ? 2 : threads.width,
                       [&](const Expr& w, const Expr& warp) {
                         return Tuple(b.shared_sum(w, warp, b.c, b.jl, b.jn));
                       });
  b.sums(b.c, b.jl, b.jn) = Tuple(b.across_warps.all(b.c, b.jl, b.jn));
}

}  // namespace halnorm::algorithm
