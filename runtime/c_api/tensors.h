#pragma once

#include "c_api/borrowed.h"
#include "c_api/status.h"
#include "halnorm/tensor.h"

/// @file
/// Tensors on the caller's memory.

namespace halnorm::HALNORM_ABI::c_api {

/// guarded() for calls with tensors, which end before it returns.
template <class Body>
halnorm_status guarded_with_tensors(Call& call, Body body) noexcept {
  return guarded(call, [&] {
    Borrowed tensors;
    call.tensors = &tensors;
    body();
  });
}

/// A view of the memory that `given` describes; nothing is copied. @throws ValueError, ShapeError,
/// DTypeError or DeviceError if the description is not a valid one, or NULL.
Tensor required(Call& call, const char* name, const DLTensor* given);

/// @throws DeviceError for a device type that halnorm does not support.
Device device_of(const Call& call, DLDevice given);

/// The tensor of required(), or an undefined one for NULL.
Tensor optional(Call& call, const char* name, const DLTensor* given);

/// Both defined, or neither.
struct RunningStats {
  Tensor mean, var;
};

/// @throws ValueError also if only one of them is defined.
RunningStats optional_running(Call& call, const DLTensor* mean, const DLTensor* var);

}  // namespace halnorm::HALNORM_ABI::c_api
