#include "thread_sums.h"

#include <map>
#include <string>

#include "../tuple_math.h"

namespace halnorm::schedule {

using algorithm::Layout;
using algorithm::Place;
using algorithm::Terms;
using Halide::cast;
using Halide::Expr;
using Halide::Func;
using Halide::max;
using Halide::min;
using Halide::RDom;
using Halide::select;
using Halide::Tuple;
using Halide::Var;

namespace {

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
Tuple sum_by_shuffles(ThreadSums& s) {
  const auto at = [&](const Expr& w) {
    return of_words(s.shuffled.back()(w, s.g, s.c, s.jl, s.jn));
  };
  Tuple so_far = s.thread_sum(s.w, s.g, s.c, s.jl, s.jn);
  for (int width = s.blocks.threads.width / 2; width > 1; width /= 2) {
    s.shuffled.emplace_back("shuffled");
    s.shuffled.back()(s.w, s.g, s.c, s.jl, s.jn) = in_words(so_far);
    so_far = at(s.w) + at(s.w + width);
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
  static Path of(const Func& path, const ThreadSums& s) {
    const Tuple p = path(s.w, s.g, s.jl, s.jn);
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

  explicit Turns(const ThreadBlocks& b) {
    const Expr pieces = b.grid.row_length / piece_of(b);
    const Expr along = unsigned_div_up(pieces, threads_across(b, pieces));
    const Expr below = unsigned_div_up(b.grid.rows, threads_down(b, pieces));
    along_row = b.grid.domain.layout == Layout::NCL && along > below;
    most = select(along_row, along, below);
    others = select(along_row, below, along);
  }
};

void define_path(ThreadSums& s) {
  const ThreadBlocks& b = s.blocks;
  const Expr pieces = b.grid.row_length / piece_of(b);
  const Expr across = threads_across(b, pieces);
  const Expr down = threads_down(b, pieces);
  const Expr along_row = Turns(b).along_row;
  const Expr thread = cast<unsigned>(s.g * b.threads.width + s.w);
  Path p;
  p.n = cast<int>(thread / cast<unsigned>(across));
  p.l = cast<int>(thread % cast<unsigned>(across));
  p.turn_l = select(along_row, across, 0);
  p.turn_n = select(along_row, 0, down);
  p.other_l = select(along_row, 0, across);
  p.other_n = select(along_row, down, 0);
  const Expr left_l = max(b.grid.length_at(s.jl) / piece_of(b) - p.l, 0);
  const Expr left_n = max(b.grid.rows_at(s.jn) - p.n, 0);
  p.turns = unsigned_div_up(select(along_row, left_l, left_n), select(along_row, across, down));
  p.others = select(
      p.n < down,
      unsigned_div_up(select(along_row, left_n, left_l), select(along_row, down, across)), 0);
  s.path(s.w, s.g, s.jl, s.jn) = p.packed();
}

/// The values that a thread loads at once: several turns of a piece each or, if rows do not consist
/// of pieces, as many turns of one value.
struct Step {
  const ThreadBlocks& b;
  Expr turns;  ///< per step

  explicit Step(const ThreadBlocks& blocks)
      : b(blocks),
        turns(select(in_pieces(b), b.threads.unroll / b.threads.piece, b.threads.unroll)) {}

  /// The turn of value e of piece t, and its place in the turn.
  [[nodiscard]] Expr turn(const Expr& e, const Expr& t) const {
    return select(in_pieces(b), t, t * b.threads.piece + e);
  }
  [[nodiscard]] Expr in_piece(const Expr& e) const { return select(in_pieces(b), e, 0); }
};

/// One value of a step. In the tail, values beyond the data count 0.
Place place(const ThreadSums& s, const Path& p, const Expr& e, const Expr& t, const Expr& turn,
            const Expr& other, bool full) {
  const Step step(s.blocks);
  const Expr piece = piece_of(s.blocks);
  const Expr first = full ? turn * step.turns : p.turns / step.turns * step.turns;
  const Expr wanted = first + step.turn(e, t);
  const Expr at = full ? wanted : min(wanted, p.turns - 1);
  const Expr l = (s.jl * (s.grid.row_length / piece) + p.l_at(at, other)) * piece;
  return {within(l + step.in_piece(e), s.grid.domain.L - 1), s.c,
          within(s.grid.first_n(s.jn) + p.n_at(at, other), s.grid.domain.N - 1),
          full ? Expr() : wanted < p.turns};
}

/// The sum of the terms of a full step. The tensors' elements go through s.pieces, which are loaded
/// as vectors.
Tuple sum_of_step(ThreadSums& s, const Terms& terms) {
  const Path p = Path::of(s.path, s);
  const int piece = s.blocks.threads.piece;
  std::map<std::string, Func> of_tensor;
  const auto piece_of = [&](const Func& tensor) {
    const auto [entry, is_new] = of_tensor.try_emplace(tensor.name(), tensor.name() + "_piece");
    if (is_new) {
      const Place any = place(s, p, s.e, s.t, s.turn, s.other, true);
      entry->second(s.e, s.t, s.w, s.g, s.c, s.jl, s.jn, s.turn, s.other) =
          any.of(tensor, s.grid.domain);
      s.pieces.push_back(entry->second);
    }
    return entry->second;
  };
  return pairwise_sum(0, s.blocks.threads.unroll, [&](int i) {
    Place at = place(s, p, i % piece, i / piece, s.main.x, s.main.y, true);
    if (piece > 1) {
      at.loaded = [&, i](const Func& tensor) {
        return piece_of(tensor)(i % piece, i / piece, s.w, s.g, s.c, s.jl, s.jn, s.main.x,
                                s.main.y);
      };
    }
    return terms(at);
  });
}

/// The sum of the terms of the tail. Its values are loaded one by one, because Halide 21 loses
/// Funcs that are used under a condition if others share a loop.
Tuple sum_of_tail(const ThreadSums& s, const Terms& terms) {
  const Path p = Path::of(s.path, s);
  const int piece = s.blocks.threads.piece;
  return pairwise_sum(0, s.blocks.threads.unroll, [&](int i) {
    return terms(place(s, p, i % piece, i / piece, 0, s.tail.x, false));
  });
}

/// The sums of each thread. In the last step, threads with fewer turns stay at their last one.
void define_thread_sum(ThreadSums& s, const Terms& terms) {
  const Turns turns(s.blocks);
  const Path p = Path::of(s.path, s);
  const Step step(s.blocks);
  s.thread_sum(s.w, s.g, s.c, s.jl, s.jn) = zeros();
  const auto so_far = [&] { return Tuple(s.thread_sum(s.w, s.g, s.c, s.jl, s.jn)); };

  s.main = RDom(0, turns.most / step.turns, 0, turns.others, "main");
  s.main.where(s.main.x < p.turns / step.turns && s.main.y < p.others);
  s.thread_sum(s.w, s.g, s.c, s.jl, s.jn) = so_far() + sum_of_step(s, terms);

  s.tail = RDom(0, turns.others, "tail");
  s.tail.where(p.turns % step.turns > 0 && s.tail.x < p.others);
  s.thread_sum(s.w, s.g, s.c, s.jl, s.jn) = so_far() + sum_of_tail(s, terms);
}

}  // namespace

Func ThreadSums::sum(const Terms& terms) {
  define_path(*this);
  define_thread_sum(*this, terms);
  const bool shuffles = blocks.threads.warp_shuffle;
  shared_sum(w, g, c, jl, jn) =
      shuffles ? sum_by_shuffles(*this) : Tuple(thread_sum(w, g, c, jl, jn));
  across_warps = add_across_warps(
      blocks, g, {c, jl, jn}, shuffles ? 2 : blocks.threads.width,
      [&](const Expr& i, const Expr& warp) { return Tuple(shared_sum(i, warp, c, jl, jn)); });
  sums(c, jl, jn) = Tuple(across_warps.all(c, jl, jn));
  return sums;
}

/// Each thread adds blocks at a distance of the number of threads.
Func ThreadSums::merge(const Func& block) {
  Func merged("merged");
  if (blocks.whole) {
    // One block needs no sum. PoCL 3.1 would add it more than once: see docs/performance.md.
    merged(c) = Tuple(block(c, 0, 0));
    return merged;
  }
  const Expr count = thread_count(blocks);
  const Expr all = grid.cuts * grid.groups;
  // One by one: there are rarely more blocks than threads.
  RDom turns(0, (all + count - 1) / count, "turns");
  const Expr thread = g * blocks.threads.width + w;
  const Expr j = turns.x * count + thread;
  turns.where(j < all);
  const Expr l = within(j % grid.cuts, grid.cuts - 1);
  const Expr n = within(j / grid.cuts, grid.groups - 1);
  partial(w, g, c) = zeros();
  partial(w, g, c) = Tuple(partial(w, g, c)) + Tuple(block(c, l, n));
  shared_partial(w, g, c) = Tuple(partial(w, g, c));
  across_partials = add_across_warps(
      blocks, g, {c}, blocks.threads.width,
      [&](const Expr& i, const Expr& warp) { return Tuple(shared_partial(i, warp, c)); });
  merged(c) = Tuple(across_partials.all(c));
  return merged;
}

/// A copy from the kernel of the blocks, because the next one may overwrite x.
Expr ThreadSums::merged_shift(const Func& shift, const Var& of) {
  pivot(of, jl, jn) = cast<double>(shift.value());
  return pivot(of, 0, 0);
}

}  // namespace halnorm::schedule
