#pragma once

#include "plan/operands.h"

/// @file
/// The operations on operands of any size and shape. Each makes its plan and runs the plan.
/// `function` names the caller in a KernelError.

namespace halnorm::HALNORM_ABI::detail {

void execute(const char* function, const UpdateOperands& o);
void execute(const char* function, const MomentsOperands& o);
void execute(const char* function, const ElemtOperands& o);
void execute(const char* function, const InferOperands& o);
void execute(const char* function, const TrainOperands& o);
void execute(const char* function, const ReduceOperands& o);
void execute(const char* function, const BackwardElemtOperands& o);
void execute(const char* function, const BackwardOperands& o);
void execute(const char* function, const BackwardInferOperands& o);
void execute(const char* function, const ReluBackwardOperands& o);

}  // namespace halnorm::HALNORM_ABI::detail
