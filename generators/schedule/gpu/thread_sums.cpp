#include "thread_sums.h"

#include <map>
#include <string>

#include "../../algorithm/tuple_math.h"

namespace halnorm::schedule {

using namespace algorithm;
using Halide::cast;
using Halide::Expr;
using Halide::Func;
using Halide::max;
using Halide::min;
using Halide::RDom;
using Halide::select;
using Halide::Tuple;

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
Tuple sum_by_shuffles(ThreadSums& s, const BlockGrid& g) {
  const auto at = [&](const Expr& w) {
    return of_words(s.shuffled.back()(w, s.g, s.c, s.jl, s.jn));
  };
  Tuple so_far = s.thread_sum(s.w, s.g, s.c, s.jl, s.jn);
  for (int width = threads_of(g).width / 2; width > 1; width /= 2) {
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

  explicit Turns(const BlockGrid& g) {
    const Expr along =
        unsigned_div_up(g.row_length / piece_of(g), threads_across(g, g.row_length / piece_of(g)));
    const Expr below = unsigned_div_up(g.rows, threads_down(g, g.row_length / piece_of(g)));
    along_row = g.domain.layout == Layout::NCL && along > below;
    most = select(along_row, along, below);
    others = select(along_row, below, along);
  }
};

void define_path(ThreadSums& s, const BlockGrid& g) {
  const Expr across = threads_across(g, g.row_length / piece_of(g));
  const Expr down = threads_down(g, g.row_length / piece_of(g));
  const Expr along_row = Turns(g).along_row;
  const Expr thread = cast<unsigned>(s.g * threads_of(g).width + s.w);
  Path p;
  p.n = cast<int>(thread / cast<unsigned>(across));
  p.l = cast<int>(thread % cast<unsigned>(across));
  p.turn_l = select(along_row, across, 0);
  p.turn_n = select(along_row, 0, down);
  p.other_l = select(along_row, 0, across);
  p.other_n = select(along_row, down, 0);
  const Expr left_l = max(g.length_at(s.jl) / piece_of(g) - p.l, 0);
  const Expr left_n = max(g.rows_at(s.jn) - p.n, 0);
  p.turns = unsigned_div_up(select(along_row, left_l, left_n), select(along_row, across, down));
  p.others = select(
      p.n < down,
      unsigned_div_up(select(along_row, left_n, left_l), select(along_row, down, across)), 0);
  s.path(s.w, s.g, s.jl, s.jn) = p.packed();
}

/// The values that a thread loads at once: several turns of a piece each or, if rows do not consist
/// of pieces, as many turns of one value.
struct Step {
  const BlockGrid& g;
  Expr turns;  ///< per step

  explicit Step(const BlockGrid& grid)
      : g(grid),
        turns(select(in_pieces(g), threads_of(g).unroll / threads_of(g).piece,
                     threads_of(g).unroll)) {}

  /// The turn of value e of piece t, and its place in the turn.
  [[nodiscard]] Expr turn(const Expr& e, const Expr& t) const {
    return select(in_pieces(g), t, t * threads_of(g).piece + e);
  }
  [[nodiscard]] Expr in_piece(const Expr& e) const { return select(in_pieces(g), e, 0); }
};

/// One value of a step. In the tail, values beyond the data count 0.
Place place(const ThreadSums& s, const BlockGrid& g, const Path& p, const Expr& e, const Expr& t,
            const Expr& turn, const Expr& other, bool full) {
  const Step step(g);
  const Expr first = full ? turn * step.turns : p.turns / step.turns * step.turns;
  const Expr wanted = first + step.turn(e, t);
  const Expr at = full ? wanted : min(wanted, p.turns - 1);
  const Expr l = (s.jl * (g.row_length / piece_of(g)) + p.l_at(at, other)) * piece_of(g);
  return {within(l + step.in_piece(e), g.domain.L - 1),
          s.c,
          within(g.first_n(s.jn) + p.n_at(at, other), g.domain.N - 1),
          s.jl,
          s.jn,
          full ? Expr() : wanted < p.turns};
}

/// The sum of the terms of a full step. The tensors' elements go through s.pieces, which are loaded
/// as vectors.
Tuple sum_of_step(ThreadSums& s, const BlockGrid& g, const Terms& terms) {
  const Path p = Path::of(s.path, s);
  const int piece = threads_of(g).piece;
  std::map<std::string, Func> of_tensor;
  const auto piece_of = [&](const Func& tensor) {
    const auto [entry, is_new] = of_tensor.try_emplace(tensor.name(), tensor.name() + "_piece");
    if (is_new) {
      const Place any = place(s, g, p, s.e, s.t, s.turn, s.other, true);
      entry->second(s.e, s.t, s.w, s.g, s.c, s.jl, s.jn, s.turn, s.other) =
          any.of(tensor, g.domain);
      s.pieces.push_back(entry->second);
    }
    return entry->second;
  };
  return pairwise_sum(0, threads_of(g).unroll, [&](int i) {
    Place at = place(s, g, p, i % piece, i / piece, s.main.x, s.main.y, true);
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
Tuple sum_of_tail(const ThreadSums& s, const BlockGrid& g, const Terms& terms) {
  const Path p = Path::of(s.path, s);
  const int piece = threads_of(g).piece;
  return pairwise_sum(0, threads_of(g).unroll, [&](int i) {
    return terms(place(s, g, p, i % piece, i / piece, 0, s.tail.x, false));
  });
}

/// The sums of each thread. In the last step, threads with fewer turns stay at their last one.
void define_thread_sum(ThreadSums& s, const BlockGrid& g, const Terms& terms) {
  const Turns turns(g);
  const Path p = Path::of(s.path, s);
  const Step step(g);
  s.thread_sum(s.w, s.g, s.c, s.jl, s.jn) = zeros();
  const auto so_far = [&] { return Tuple(s.thread_sum(s.w, s.g, s.c, s.jl, s.jn)); };

  s.main = RDom(0, turns.most / step.turns, 0, turns.others, "main");
  s.main.where(s.main.x < p.turns / step.turns && s.main.y < p.others);
  s.thread_sum(s.w, s.g, s.c, s.jl, s.jn) = so_far() + sum_of_step(s, g, terms);

  s.tail = RDom(0, turns.others, "tail");
  s.tail.where(p.turns % step.turns > 0 && s.tail.x < p.others);
  s.thread_sum(s.w, s.g, s.c, s.jl, s.jn) = so_far() + sum_of_tail(s, g, terms);
}

class SumsByThreads final : public algorithm::DeviceSums {
 public:
  explicit SumsByThreads(const ThreadGrid& grid) : threads(grid) {}

  [[nodiscard]] std::shared_ptr<const DeviceSums> reading(int tensors) const override {
    ThreadGrid shared = threads;
    while (tensors > 1 && shared.unroll > shared.piece) {
      shared.unroll /= 2;
      tensors = (tensors + 1) / 2;
    }
    return sums_by(shared);
  }

  void cut(BlockGrid& grid, const BlockSizes& sizes) const override {
    cut_for(threads, grid, sizes);
  }

  void sum_block(BlockSums& b, const BlockGrid& g, const Terms& terms) const override {
    const auto stages = std::make_shared<ThreadSums>();
    ThreadSums& s = *stages;
    b.device = stages;
    define_path(s, g);
    define_thread_sum(s, g, terms);
    s.shared_sum(s.w, s.g, s.c, s.jl, s.jn) = threads.warp_shuffle
                                                  ? sum_by_shuffles(s, g)
                                                  : Tuple(s.thread_sum(s.w, s.g, s.c, s.jl, s.jn));
    s.across_warps =
        add_across_warps(g, s.g, {s.c, s.jl, s.jn}, threads.warp_shuffle ? 2 : threads.width,
                         [&](const Expr& w, const Expr& warp) {
                           return Tuple(s.shared_sum(w, warp, s.c, s.jl, s.jn));
                         });
    b.sums(s.c, s.jl, s.jn) = Tuple(s.across_warps.all(s.c, s.jl, s.jn));
  }

  [[nodiscard]] Func sum_blocks(Reduction& r) const override { return reduce_partials(r); }

  const ThreadGrid threads;
};

}  // namespace

std::shared_ptr<const algorithm::DeviceSums> sums_by(const ThreadGrid& threads) {
  return std::make_shared<SumsByThreads>(threads);
}

const ThreadGrid& threads_of(const BlockGrid& grid) {
  return static_cast<const SumsByThreads&>(*grid.device).threads;
}

}  // namespace halnorm::schedule
