#include "functional/arguments/check.h"

#include <cmath>
#include <string>
#include <utility>

#include "base/format.h"
#include "base/strides.h"
#include "halnorm/error.h"
#include "tensor/impl.h"
#include "tensor/overlap.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

using std::string;

string prefix(const char* function, const char* name) { return string(function) + ": " + name; }

string text(DType dtype) { return string(name_of(dtype)); }

void check_defined(const char* function, const char* name, const Tensor& t) {
  if (!t.defined()) {
    throw ValueError(prefix(function, name) + " is undefined, wanted a tensor");
  }
  if (TensorAccess::of(t).is_part()) {
    throw ValueError(prefix(function, name) + " is a global tensor of sbp " + t.sbp().str() +
                     ", wanted a local one: to_local() is this rank's part");
  }
}

void check_channels(const char* function, const char* name, const Tensor& t,
                    std::int64_t channels) {
  const Shape& shape = TensorAccess::of(t).shape;
  if (shape.size() != 1 || shape[0] != channels) {
    throw ShapeError(string(function) + ": " + name + " should contain " +
                     std::to_string(channels) + " elements, shape (" + std::to_string(channels) +
                     ",), not " + to_string(t.shape()));
  }
}

void check_device(const char* function, const char* name, const Tensor& t, Device wanted) {
  if (TensorAccess::of(t).device != wanted) {
    throw DeviceError(prefix(function, name) + " is on " + t.device().str() + ", wanted " +
                      wanted.str());
  }
  if (const auto& memory = TensorAccess::of(t).memory) {
    memory->require_context(function, name);
  }
}

/// OpenCL's kernels cannot start inside a parameter's memory.
void check_start(const char* function, const char* name, const Tensor& t) {
  const auto& fields = TensorAccess::of(t);
  if (fields.memory && !fields.memory->can_hold_channels_at(fields.data)) {
    throw DeviceError(prefix(function, name) + " is a part of a tensor on " + fields.device.str() +
                      ", wanted one that starts where its memory does: a clone()");
  }
}

bool same_view(const Tensor& a, const Tensor& b) {
  const auto& one = TensorAccess::of(a);
  const auto& other = TensorAccess::of(b);
  return one.data == other.data && one.shape == other.shape && one.strides == other.strides;
}

/// The reason why this build refuses a dtype that other builds accept.
string left_out(DType dtype) {
  return is_floating(dtype) ? "; HALNORM_DTYPES of this build leaves " + text(dtype) + " out" : "";
}

/// One kernel reads the data of a device: its 32-bit indices have to reach all of it.
void check_one_kernel(const char* function, const char* name, const Tensor& x) {
  const Layout layout = layout_of(x);
  // A tensor that no kernel can use in place is copied without gaps.
  const bool near = in_place(x, layout) == InPlace::no || view_of(x, layout, false).fits_kernel();
  if (!near || x.numel() > max_kernel_offset) {
    throw ShapeError(prefix(function, name) + " has shape " + to_string(x.shape()) +
                     " and strides " + to_string(x.strides()) +
                     ", wanted elements that lie within " + std::to_string(max_kernel_offset) +
                     " of each other");
  }
}

}  // namespace

void throw_left_out(const char* function, const char* groups) {
  throw KernelError(string(function) + ": HALNORM_OPERATIONS of this build is " + chosen_groups +
                    ", wanted " + groups + " in it");
}

Extents check_data(const char* function, const char* name, const Tensor& x) {
  check_defined(function, name, x);
  const auto& fields = TensorAccess::of(x);
  if (!can_be_data(fields.dtype)) {
    throw DTypeError(prefix(function, name) + " is " + text(x.dtype()) + ", wanted " +
                     data_dtype_names() + left_out(fields.dtype));
  }
  if (fields.shape.size() < 2) {
    throw ShapeError(prefix(function, name) + " has shape " + to_string(x.shape()) +
                     ", wanted at least 2 axes: (N, C) or (N, C, L)");
  }
  if (fields.memory) {
    fields.memory->require_context(function, name);
    check_one_kernel(function, name, x);
  }
  return extents_of(x);
}

void check_like(const char* function, const char* name, const Tensor& t, const Tensor& x) {
  check_defined(function, name, t);
  const auto& fields = TensorAccess::of(t);
  const auto& wanted = TensorAccess::of(x);
  if (fields.shape != wanted.shape) {
    throw ShapeError(prefix(function, name) + " has shape " + to_string(t.shape()) + ", wanted " +
                     to_string(x.shape()));
  }
  if (fields.dtype != wanted.dtype) {
    throw DTypeError(prefix(function, name) + " is " + text(fields.dtype) + ", wanted " +
                     text(wanted.dtype));
  }
  check_device(function, name, t, wanted.device);
  check_data(function, name, t);
}

void check_parameter(const char* function, const char* name, const Tensor& t, const Tensor& x,
                     std::int64_t channels, bool optional) {
  if (!t.defined() && optional) {
    return;
  }
  check_defined(function, name, t);
  check_channels(function, name, t, channels);
  if (!is_floating(TensorAccess::of(t).dtype)) {
    throw DTypeError(prefix(function, name) + " is " + text(t.dtype()) +
                     ", wanted float16, bfloat16, float32 or float64");
  }
  if constexpr (!has_float64) {
    if (t.dtype() == DType::Float64 && x.dtype() != DType::Float64) {
      throw DTypeError(prefix(function, name) + " is float64 beside " + text(x.dtype()) +
                       " data, which is computed in float64" + left_out(DType::Float64));
    }
  }
  check_device(function, name, t, TensorAccess::of(x).device);
  check_start(function, name, t);
}

Extents check_gradient(const char* function, const Tensor& dy, const Tensor& x,
                       const Tensor& weight) {
  const Extents e = check_data(function, "x", x);
  check_like(function, "dy", dy, x);
  check_parameter(function, "weight", weight, x, e.C, true);
  return e;
}

Tensor check_statistic(const char* function, const char* name, const Tensor& t,
                       std::int64_t channels, Device device) {
  check_defined(function, name, t);
  check_channels(function, name, t, channels);
  if (t.dtype() != DType::Float64 && t.dtype() != DType::Float32) {
    throw DTypeError(prefix(function, name) + " is " + text(t.dtype()) +
                     ", wanted float64 or float32");
  }
  check_device(function, name, t, device);
  check_start(function, name, t);
  return t.to(DType::Float64).contiguous();
}

void check_written(const char* function, const Tensor& running_mean, const Tensor& running_var) {
  if (!elements_apart(running_mean) || !elements_apart(running_var) ||
      may_overlap(running_mean, running_var)) {
    throw ShapeError(string(function) +
                     ": running_mean and running_var overlap in memory, wanted a place of its own "
                     "for each value");
  }
}

void check_out(const char* function, const Tensor& out, const Tensor& like,
               std::initializer_list<const Tensor*> inputs, const Tensor* addend) {
  if (!out.defined()) {
    return;
  }
  check_like(function, "out", out, like);
  if (!elements_apart(out)) {
    throw ShapeError(string(function) + ": out has shape " + to_string(out.shape()) +
                     " and strides " + to_string(out.strides()) +
                     ", wanted a place of its own for each element");
  }
  const Tensor& replaced = addend != nullptr && same_view(out, *addend) ? *addend : like;
  const auto check_apart = [&](const Tensor& input) {
    const bool in_place = &input == &replaced && same_view(out, input);
    if (input.defined() && !in_place && may_overlap(out, input)) {
      throw ShapeError(string(function) +
                       ": out overlaps an input in memory, wanted memory of its own or exactly the "
                       "tensor that it replaces");
    }
  };
  for (const Tensor* input : inputs) {
    check_apart(*input);
  }
  if (addend != nullptr) {
    check_apart(*addend);
  }
}

void check_eps(const char* function, double eps) {
  if (!std::isfinite(eps) || eps < 0) {
    throw ValueError(string(function) + ": eps is " + python_float(eps) +
                     ", wanted a finite value of at least 0");
  }
}

void check_slope(const char* function, double slope) {
  if (!std::isfinite(slope) || slope < 0) {
    throw ValueError(string(function) + ": slope is " + python_float(slope) +
                     ", wanted a finite value of at least 0");
  }
}

void check_batch(const char* function, const Tensor& x, const Extents& e) {
  if (e.count() == 1) {
    throw ValueError(string(function) +
                     ": Expected more than 1 value per channel when training, got input size " +
                     to_string(x.shape()));
  }
}

void check_factor(const char* function, const char* name, double factor) {
  if (!std::isfinite(factor)) {
    throw ValueError(prefix(function, name) + " is " + python_float(factor) +
                     ", wanted a finite value");
  }
}

double check_count(const char* function, const Tensor& count) {
  check_defined(function, "count", count);
  if (count.numel() != 1) {
    throw ShapeError(prefix(function, "count") + " has shape " + to_string(count.shape()) +
                     ", wanted one element");
  }
  constexpr double most = 0x1p53;  // a double has every whole number up to there
  const double value = count.item<double>();
  const bool counts = value >= 0 && value <= most && value == std::trunc(value);
  if (!counts) {
    throw ValueError(prefix(function, "count") + " is " + python_float(value) +
                     ", wanted a whole number from 0 to 2^53");
  }
  return value;
}

double check_update(const char* function, const Tensor& running_mean, const Tensor& running_var,
                    const functional::Moments& moments, double factor) {
  check_defined(function, "running_mean", running_mean);
  if (running_mean.dim() != 1) {
    throw ShapeError(prefix(function, "running_mean") + " has shape " +
                     to_string(running_mean.shape()) + ", wanted one value per channel, (C,)");
  }
  for (const auto& [name, t] :
       {std::pair{"running_mean", &running_mean}, std::pair{"running_var", &running_var}}) {
    check_parameter(function, name, *t, running_mean, running_mean.size(0), false);
  }
  check_same_dtype(function, "running_mean", running_mean, "running_var", running_var);
  check_written(function, running_mean, running_var);
  check_factor(function, "factor", factor);
  const double count = check_count(function, moments.count);
  if (count == 1) {
    throw ValueError(string(function) +
                     ": count is 1, wanted at least 2: the unbiased variance divides by count - 1");
  }
  for (const Tensor* input : {&moments.count, &moments.mean, &moments.m2}) {
    if (input->defined() &&
        (may_overlap(*input, running_mean) || may_overlap(*input, running_var))) {
      throw ShapeError(string(function) +
                       ": the moments overlap running_mean or running_var in memory, wanted memory "
                       "of their own");
    }
  }
  return count;
}

void check_same_dtype(const char* function, const char* name, const Tensor& t,
                      const char* other_name, const Tensor& other) {
  if (t.defined() && other.defined() && t.dtype() != other.dtype()) {
    throw DTypeError(prefix(function, name) + " is " + text(t.dtype()) + " and " + other_name +
                     " is " + text(other.dtype()) + ", wanted one dtype for both");
  }
}

bool check_pair(const char* function, const Tensor& running_mean, const Tensor& running_var) {
  if (running_mean.defined() != running_var.defined()) {
    throw ValueError(string(function) +
                     ": running_mean and running_var must either both be defined or neither, got "
                     "only " +
                     (running_mean.defined() ? "running_mean" : "running_var"));
  }
  return running_mean.defined();
}

}  // namespace halnorm::HALNORM_ABI::detail
