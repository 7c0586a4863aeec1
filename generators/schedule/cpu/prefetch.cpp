#include "prefetch.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

namespace halnorm::schedule {

using Halide::cast, Halide::max, Halide::reinterpret, Halide::select;
using Halide::Expr;
using namespace Halide::Internal;

namespace {

// The row length from which the next row is too far away.
constexpr int long_row = 65536;
// The rows that the sums of NLC read at once: the next data is this many rows further.
constexpr int unrolled_rows = 8;

/// A vector of the data and its first element.
struct DataLoad {
  const Load* load;
  Expr first;

  [[nodiscard]] int size() const { return load->type.bytes(); }
  [[nodiscard]] int bytes() const { return size() * load->type.lanes(); }
  [[nodiscard]] Expr field(const std::string& name) const {
    return cast<std::int64_t>(Variable::make(Halide::Int(32), load->name + name, load->param));
  }
};

/// The vectors that an expression loads from data, which are buffers of more than one dimension.
class DataLoads : public IRVisitor {
 public:
  explicit DataLoads(const Expr& e) { e.accept(this); }

  std::vector<DataLoad> found;

 protected:
  using IRVisitor::visit;

  void visit(const Let* op) override {
    op->value.accept(this);
    lets_.emplace_back(op->name, op->value);
    op->body.accept(this);
    lets_.pop_back();
  }

  void visit(const Load* op) override {
    IRVisitor::visit(op);
    const auto* index = op->index.as<Ramp>();
    if (op->param.defined() && op->param.dimensions() > 1 && index != nullptr &&
        is_const_one(index->stride) && is_const_one(op->predicate)) {
      Expr first = index->base;
      for (const auto& [name, value] : std::views::reverse(lets_)) {
        first = substitute(name, value, first);
      }
      found.push_back({op, first});
    }
  }

 private:
  std::vector<std::pair<std::string, Expr>> lets_;  ///< around the load
};

/// The distance in elements from a load to its prefetch, in 64 bits: the address may be far beyond
/// a tensor's end, and need not be mapped. Data in pieces has half the distance, and at least whole
/// rows: along a row of NCL the prefetches of a piece's last KB would be useless, and its first KB
/// would have none. Training on (64, 256, 3136), rows of 12 KB, took 0.89 of the time without
/// prefetches with 1 KB along the row, and 0.81 with the same place in the next row.
Expr distance(const DataLoad& data, Reading reading, int bytes) {
  if (reading == Reading::end_to_end) {
    return cast<std::int64_t>(bytes / data.size());
  }
  const Expr piece = cast<std::int64_t>(bytes / 2 / data.size());
  if (data.load->param.dimensions() == 2) {
    const Expr row = data.field(".stride.1");
    return row * max(cast<std::int64_t>(unrolled_rows), piece / max(row, 1));
  }
  const Expr length = data.field(".extent.0");
  const Expr rows = piece / max(length, 1) + 1;
  return select(length >= long_row / data.size(), piece, data.field(".stride.2") * rows);
}

class FetchAhead : public IRMutator {
 public:
  FetchAhead(Reading reading, int bytes) : reading_(reading), bytes_(bytes) {}

 protected:
  using IRMutator::visit;

  Stmt visit(const For* op) override {
    std::map<std::string, std::vector<Expr>> outer;
    std::swap(outer, fetched_);
    Stmt loop = IRMutator::visit(op);
    std::swap(outer, fetched_);
    return loop;
  }

  Stmt visit(const LetStmt* op) override { return after_fetches(op->value, IRMutator::visit(op)); }
  Stmt visit(const Store* op) override { return after_fetches(op->value, IRMutator::visit(op)); }

 private:
  Stmt after_fetches(const Expr& value, Stmt s) {
    for (const DataLoad& data : DataLoads(value).found) {
      for (int at = 0; at < data.bytes(); at += line_bytes) {
        const Expr element = simplify(data.first + at / data.size());
        if (is_new(data, element)) {
          s = Block::make(fetch(data, element), s);
        }
      }
    }
    return s;
  }

  /// Whether the loop has no prefetch of this line yet.
  bool is_new(const DataLoad& data, const Expr& element) {
    std::vector<Expr>& fetched = fetched_[data.load->name];
    const int line = line_bytes / data.size();
    const bool known = std::any_of(fetched.begin(), fetched.end(), [&](const Expr& other) {
      const auto apart = as_const_int(simplify(element - other));
      return apart && std::abs(*apart) < line;
    });
    if (!known) {
      fetched.push_back(element);
    }
    return !known;
  }

  /// Halide's own prefetches bypass the caches but the first, which costs more than they gain:
  /// decision 015. These are LLVM's, to read, for all caches, of data.
  [[nodiscard]] Stmt fetch(const DataLoad& data, const Expr& element) const {
    const Expr there = cast<std::int64_t>(element) + distance(data, reading_, bytes_);
    const Expr first = Variable::make(Halide::Handle(), data.load->name);
    const Expr address = reinterpret(Halide::UInt(64), first) +
                         cast<std::uint64_t>(there * Expr(std::int64_t{data.size()}));
    return Evaluate::make(Call::make(Halide::Int(32), "llvm.prefetch.p0",
                                     {reinterpret(Halide::Handle(), address), 0, 3, 1},
                                     Call::Extern));
  }

  Reading reading_;
  int bytes_;                                         ///< of the distance
  std::map<std::string, std::vector<Expr>> fetched_;  ///< in the innermost loop
};

}  // namespace

bool prefetches_gain(const Halide::Target& target, Halide::Type data, Reading reading) {
  const bool in_lines = target.natural_vector_size(Halide::UInt(8)) >= line_bytes;
  return in_lines || data.bytes() == 2 || reading == Reading::in_pieces;
}

void fetch_ahead(Halide::Pipeline kernel, Reading reading, int bytes) {
  kernel.add_custom_lowering_pass(new FetchAhead(reading, bytes));
}

}  // namespace halnorm::schedule
