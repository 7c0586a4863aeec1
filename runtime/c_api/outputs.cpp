#include "c_api/outputs.h"

#include <algorithm>
#include <string>

#include "base/strides.h"
#include "functional/arguments/parameter_types.h"
#include "halnorm/error.h"
#include "tensor/overlap.h"

namespace halnorm::HALNORM_ABI::c_api {

namespace {

using detail::TensorAccess;
using detail::to_string;
using std::string;

string prefix(const Call& call, const char* name) { return string(call.function) + ": " + name; }

[[noreturn, gnu::cold]] void throw_shape(const Call& call, const char* name, const Tensor& t,
                                         const string& wanted) {
  throw ShapeError(prefix(call, name) + " has shape " + to_string(t.shape()) + ", wanted " +
                   wanted);
}

void check_dtype(const Call& call, const char* name, const Tensor& t, DType wanted, DType other) {
  const DType dtype = TensorAccess::of(t).dtype;
  if (dtype != wanted && dtype != other) {
    throw DTypeError(prefix(call, name) + " is " + string(name_of(t.dtype())) + ", wanted " +
                     string(name_of(wanted)) +
                     (other == wanted ? "" : " or " + string(name_of(other))));
  }
}

void check_device(const Call& call, const char* name, const Tensor& t, Device wanted) {
  if (TensorAccess::of(t).device != wanted) {
    throw DeviceError(prefix(call, name) + " is on " + t.device().str() + ", wanted " +
                      wanted.str());
  }
}

void check_own_places(const Call& call, const char* name, const Tensor& t) {
  if (!detail::elements_apart(t)) {
    throw ShapeError(prefix(call, name) + " has shape " + to_string(t.shape()) + " and strides " +
                     to_string(t.strides()) + ", wanted a place of its own for each element");
  }
}

Tensor channel_tensor(Call& call, const char* name, const DLTensor* given, const Channels& channels,
                      DType wanted, DType other) {
  Tensor t = optional(call, name, given);
  if (t.defined() && channels.count >= 0) {
    const Shape& shape = TensorAccess::of(t).shape;
    if (shape.size() != 1 || shape[0] != channels.count) {
      throw_shape(call, name, t, to_string(Shape{channels.count}));
    }
    check_dtype(call, name, t, wanted, other);
    check_device(call, name, t, channels.device);
  }
  return t;
}

Tensor channel_output(Call& call, const char* name, const DLTensor* given, const Channels& channels,
                      DType wanted, DType other) {
  Tensor t = channel_tensor(call, name, given, channels, wanted, other);
  if (t.defined()) {
    check_own_places(call, name, t);
  }
  return t;
}

bool share_memory(const Tensor& a, const Tensor& b) {
  const auto& one = TensorAccess::of(a);
  const auto& other = TensorAccess::of(b);
  return one.bytes.first < other.bytes.past && other.bytes.first < one.bytes.past &&
         one.device == other.device && detail::may_overlap(a, b);
}

}  // namespace

Channels channels_of(const Tensor& x) {
  const auto& fields = TensorAccess::of(x);
  return {.count = fields.shape.size() >= 2 ? fields.shape[1] : -1, .device = fields.device};
}

Tensor statistic_output(Call& call, const char* name, const DLTensor* given,
                        const Channels& channels) {
  return channel_output(call, name, given, channels, DType::Float64, DType::Float32);
}

Tensor statistic_input(Call& call, const char* name, const DLTensor* given,
                       const Channels& channels) {
  return given == nullptr
             ? required(call, name, given)  // which throws
             : channel_tensor(call, name, given, channels, DType::Float64, DType::Float32);
}

Tensor gradient_output(Call& call, const char* name, const DLTensor* given, const Tensor& x,
                       const Tensor& weight) {
  const DType dtype = detail::gradient_dtype(weight, x);
  return channel_output(call, name, given, channels_of(x), dtype, dtype);
}

Tensor count_output(Call& call, const char* name, const DLTensor* given) {
  Tensor t = optional(call, name, given);
  if (t.defined()) {
    if (t.numel() != 1) {
      throw_shape(call, name, t, "one element");
    }
    check_dtype(call, name, t, DType::Float64, DType::Int64);
    check_device(call, name, t, Device::cpu());
  }
  return t;
}

Tensor data_output(Call& call, const char* name, const DLTensor* given, const Tensor& x) {
  Tensor t = optional(call, name, given);
  if (t.defined()) {
    if (t.shape() != x.shape()) {
      throw_shape(call, name, t, to_string(x.shape()));
    }
    check_dtype(call, name, t, x.dtype(), x.dtype());
    check_device(call, name, t, x.device());
    check_own_places(call, name, t);
  }
  return t;
}

void check_apart(const Call& call, std::initializer_list<Output> outputs) {
  for (const Output* a = outputs.begin(); a != outputs.end(); ++a) {
    for (const Output* b = a + 1; a->tensor.defined() && b != outputs.end(); ++b) {
      if (b->tensor.defined() && share_memory(a->tensor, b->tensor)) {
        throw ShapeError(prefix(call, a->name) + " and " + b->name +
                         " overlap in memory, wanted memory of its own for each output");
      }
    }
  }
}

void check_any_apart(const Call& call, std::initializer_list<Output> outputs) {
  if (std::none_of(outputs.begin(), outputs.end(),
                   [](const Output& output) { return output.tensor.defined(); })) {
    string names;
    for (const Output& output : outputs) {
      names += (names.empty() ? "" : ", ") + string(output.name);
    }
    throw ValueError(string(call.function) + ": got NULL for each of " + names +
                     ", wanted at least one of them");
  }
  check_apart(call, outputs);
}

void store(const Tensor& result, const Tensor& output) {
  if (!output.defined() || result.numel() == 0) {
    return;
  }
  if (result.dim() <= 1) {
    detail::store_channels(output, result);
  } else {
    Tensor(output).copy_(result);
  }
}

}  // namespace halnorm::HALNORM_ABI::c_api
