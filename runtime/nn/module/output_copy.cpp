#include "nn/module/output_copy.h"

#include <string>

#include "base/strides.h"
#include "halnorm/error.h"
#include "tensor/overlap.h"

namespace halnorm::HALNORM_ABI::nn {

using halnorm::detail::to_string;

Tensor apart_from(const Tensor& out, const Tensor& tensor) {
  return tensor.defined() && halnorm::detail::may_overlap(out, tensor) ? tensor.clone() : tensor;
}

Tensor copied_into(const Tensor& out, const Tensor& result) {
  if (!result.defined()) {
    throw ValueError("forward into out: got an undefined result, wanted a tensor to copy");
  }
  if (out.shape() != result.shape()) {
    throw ShapeError("forward into out: got out of shape " + to_string(out.shape()) +
                     ", wanted the result's " + to_string(result.shape()));
  }
  if (out.dtype() != result.dtype()) {
    throw DTypeError("forward into out: got out of dtype " + std::string(name_of(out.dtype())) +
                     ", wanted the result's " + std::string(name_of(result.dtype())));
  }
  if (out.device() != result.device()) {
    throw DeviceError("forward into out: got out on " + out.device().str() +
                      ", wanted the result's " + result.device().str());
  }
  Tensor target = out;
  target.copy_(result);
  return target;
}

}  // namespace halnorm::HALNORM_ABI::nn
