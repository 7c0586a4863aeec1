#include "checks.h"

namespace halnorm::schedule {

using namespace Halide::Internal;

namespace {

/// Halide's feature no_asserts would also remove the check of an allocation.
class WithoutChecks : public IRMutator {
 protected:
  using IRMutator::visit;

  /// The check of a buffer calls a reporting function; the failure of a loop is an error code.
  Stmt visit(const AssertStmt* op) override {
    const auto* report = op->message.as<Call>();
    const bool is_check = report != nullptr && report->name.starts_with("halide_error_");
    return is_check ? Evaluate::make(0) : IRMutator::visit(op);
  }
};

}  // namespace

void leave_out_checks(Halide::Pipeline kernel) {
  kernel.add_custom_lowering_pass(new WithoutChecks);
}

void require_scheduled(const Halide::Pipeline& kernel) {
  for (const Halide::Func& output : kernel.outputs()) {
    for (auto [name, stage] : find_transitive_calls(output.function())) {
      const bool is_inlined = stage.schedule().compute_level().lock().is_inlined();
      if (is_inlined && stage.has_update_definition() && !stage.same_as(output.function())) {
        throw Halide::CompileError(name + " sums values and is scheduled nowhere");
      }
    }
  }
}

}  // namespace halnorm::schedule
