#include "aligned_output.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace halnorm::schedule {

using Halide::clamp, Halide::likely;
using Halide::Expr, Halide::Func, Halide::Var;
using namespace Halide::Internal;

namespace {

constexpr const char* suffix = "_aligned";

/// The value, through an operation on the bits that changes only the payload of negative NaNs. The
/// instruction that rounds to float16 would otherwise also store, which no non-temporal store does.
Expr in_register(const Expr& value) {
  if (value.type() != Halide::Float(16)) {
    return value;
  }
  const Expr bits = Halide::reinterpret(Halide::UInt(16), value);
  return Halide::reinterpret(value.type(), Halide::min(bits, Expr(std::uint16_t{0xfe00})));
}

/// Removes the clamps from the indices of masked vectors. The mask excludes the elements that they
/// move.
class WithoutClamps : public IRMutator {
 public:
  /// Whether there was a store to the output.
  bool found = false;

 protected:
  using IRMutator::visit;

  Expr visit(const Let* op) override { return mutate(substitute(op->name, op->value, op->body)); }

  Stmt visit(const LetStmt* op) override {
    return mutate(substitute(op->name, op->value, op->body));
  }

  Expr visit(const Load* op) override {
    const Expr index = is_const_one(op->predicate) ? mutate(op->index) : unclamped(op->index);
    return Load::make(op->type, op->name, index, op->image, op->param, mutate(op->predicate), {});
  }

  Stmt visit(const Store* op) override {
    found = found || op->name.find(suffix) != std::string::npos;
    const Expr index = is_const_one(op->predicate) ? mutate(op->index) : unclamped(op->index);
    return Store::make(op->name, mutate(op->value), index, op->param, mutate(op->predicate), {});
  }

  Expr visit(const Max* op) override { return without_bound(op); }
  Expr visit(const Min* op) override { return without_bound(op); }

 private:
  Expr unclamped(const Expr& index) {
    const ScopedValue<bool> inside(in_index_, true);
    return mutate(index);
  }

  template <class Clamp>
  Expr without_bound(const Clamp* op) {
    const bool bounds = in_index_ && op->b.template as<Broadcast>() != nullptr;
    return bounds ? mutate(op->a) : IRMutator::visit(op);
  }

  bool in_index_ = false;
};

class MaskEdges : public IRMutator {
 protected:
  using IRMutator::visit;

  Stmt visit(const IfThenElse* op) override {
    Expr condition = op->condition;
    while (const auto* let = condition.as<Let>()) {
      condition = let->body;
    }
    const auto* all = condition.as<VectorReduce>();
    if (all == nullptr || all->op != VectorReduce::And || !op->else_case.defined()) {
      return IRMutator::visit(op);
    }
    WithoutClamps without_clamps;
    const Stmt masked = without_clamps.mutate(op->else_case);
    return without_clamps.found ? common_subexpression_elimination(simplify(masked))
                                : IRMutator::visit(op);
  }
};

}  // namespace

Output aligned_output(const Func& y, const algorithm::Domain& d, int length) {
  const std::vector<Var> args = y.args();
  Func aligned(y.name() + suffix);
  aligned(args) = Halide::undef(y.type());
  const Expr row = d.layout == algorithm::Layout::NCL ? d.L : d.C;
  Halide::RDom lines(0, length, 0, (row + 2 * length - 2) / length);
  // The start of the row in the output, and the element of the line in the row. In this form Halide
  // sees that their sum is a multiple of `length`, and emits an aligned store.
  Expr start = 0;
  for (size_t i = 1; i < args.size(); ++i) {
    start += args[i] * aligned.output_buffer().dim(static_cast<int>(i)).stride();
  }
  Expr at = lines.y * length + lines.x + start / length * length;
  for (size_t i = args.size(); --i > 0;) {
    at -= args[i] * aligned.output_buffer().dim(static_cast<int>(i)).stride();
  }
  // likely(): whole lines get a separate loop without masks. clamp(): Halide's check of bounds
  // ignores conditions. mask_edges() removes it from masked accesses.
  lines.where(lines.y * length < row + start % length);
  lines.where(likely(0 <= at && at < row));
  std::vector<Expr> element(args.begin(), args.end());
  element[0] = clamp(likely(at), 0, row - 1);
  aligned(element) = in_register(y(element));
  Output output(aligned, d);
  output.lines = std::move(lines);
  return output;
}

void mask_edges(Halide::Pipeline kernel) { kernel.add_custom_lowering_pass(new MaskEdges); }

}  // namespace halnorm::schedule
