#include "c_api/tensors.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "halnorm/error.h"

namespace halnorm::HALNORM_ABI::c_api {

namespace {

using std::to_string;

/// No framework has tensors of more axes. More are a structure that was not filled.
constexpr int most_axes = 64;

constexpr std::string_view dtypes = "float of 16, 32 or 64 bits, bfloat of 16, or int of 64";

std::string prefix(const Call& call) { return std::string(call.function) + ": " + call.argument; }

[[noreturn, gnu::cold]] void throw_null(const Call& call) {
  throw ValueError(prefix(call) + " is NULL, wanted a tensor");
}

[[noreturn, gnu::cold]] void throw_axes(const Call& call, int count) {
  throw ShapeError(prefix(call) + " has ndim " + to_string(count) + ", wanted 0 to " +
                   to_string(most_axes));
}

[[noreturn, gnu::cold]] void throw_no_shape(const Call& call, int count) {
  throw ValueError(prefix(call) + " has ndim " + to_string(count) + " and the shape NULL, wanted " +
                   to_string(count) + " extents");
}

[[noreturn, gnu::cold]] void throw_dtype(const Call& call, DLDataType given) {
  throw DTypeError(prefix(call) + " has dtype code " + to_string(given.code) + " with " +
                   to_string(given.bits) + " bits and " + to_string(given.lanes) +
                   " lanes, wanted " + std::string(dtypes) + ", with 1 lane");
}

[[noreturn, gnu::cold]] void throw_device(const Call& call, DLDevice given) {
  throw DeviceError(prefix(call) + " is on device type " +
                    to_string(std::bit_cast<std::int32_t>(given.device_type)) + " with id " +
                    to_string(given.device_id) +
                    ", wanted kDLCPU (1) with id 0, kDLCUDA (2) or kDLOpenCL (4)");
}

[[noreturn, gnu::cold]] void throw_no_data(const Call& call) {
  throw ValueError(prefix(call) + " has the data NULL, wanted the address of its elements");
}

[[noreturn, gnu::cold]] void throw_misaligned(const Call& call, const DLTensor& given,
                                              std::size_t size) {
  throw ValueError(prefix(call) + " has data at " +
                   to_string(std::bit_cast<std::uintptr_t>(given.data)) + " with byte_offset " +
                   to_string(given.byte_offset) + ", wanted a multiple of its elements' " +
                   to_string(size) + " bytes");
}

DType dtype_of(const Call& call, DLDataType given) {
  const auto is = [&](DLDataTypeCode code, int bits) {
    return given.code == code && std::cmp_equal(given.bits, bits);
  };
  if (given.lanes == 1) {
    if (is(kDLFloat, 32)) {
      return DType::Float32;
    }
    if (is(kDLFloat, 64)) {
      return DType::Float64;
    }
    if (is(kDLFloat, 16)) {
      return DType::Float16;
    }
    if (is(kDLBfloat, 16)) {
      return DType::BFloat16;
    }
    if (is(kDLInt, 64)) {
      return DType::Int64;
    }
  }
  throw_dtype(call, given);
}

bool is_empty(const DLTensor& t) noexcept {
  return std::find(t.shape, t.shape + t.ndim, 0) != t.shape + t.ndim;
}

/// On OpenCL, data has no address that an offset could be added to: a first axis steps over it, and
/// is taken away.
Tensor device_tensor(const DLTensor& t, DType dtype, Device device) {
  const bool has_address = device.type != DeviceType::OpenCL;
  auto* first = static_cast<std::byte*>(t.data) + (has_address && !is_empty(t) ? t.byte_offset : 0);
  Shape shape(t.shape, t.shape + t.ndim);
  std::vector<std::int64_t> strides;
  if (t.strides != nullptr) {
    strides.assign(t.strides, t.strides + t.ndim);
  }
  Tensor whole = Tensor::from_blob(first, shape, dtype, std::move(strides), device);
  if (has_address || t.byte_offset == 0 || whole.numel() == 0) {
    return whole;
  }
  Shape longer = shape;
  longer.insert(longer.begin(), 2);
  strides = whole.strides();
  strides.insert(strides.begin(), static_cast<std::int64_t>(t.byte_offset / size_of(dtype)));
  return Tensor::from_blob(t.data, std::move(longer), dtype, std::move(strides), device)
      .narrow(0, 1, 1)
      .reshape(std::move(shape));
}

void check_address(const Call& call, const DLTensor& given, std::size_t size) {
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  if (given.data == nullptr) {
    throw_no_data(call);
  }
  const bool has_address = given.device.device_type != kDLOpenCL;
  const std::uint64_t start = has_address ? std::bit_cast<std::uintptr_t>(given.data) : 0;
  if (given.byte_offset > most || ((start + given.byte_offset) & (size - 1)) != 0) {
    throw_misaligned(call, given, size);
  }
}

}  // namespace

Device device_of(const Call& call, DLDevice given) {
  // A number from C may be outside the enumeration's range, where C++ may not read it as one.
  const auto type = std::bit_cast<std::int32_t>(given.device_type);
  switch (type) {
    case kDLCPU:
      if (given.device_id == 0) {
        return Device::cpu();
      }
      break;
    case kDLCUDA:
      return Device::cuda(given.device_id);
    case kDLOpenCL:
      return Device::opencl(given.device_id);
    default:
      break;
  }
  throw_device(call, given);
}

Tensor required(Call& call, const char* name, const DLTensor* given) {
  call.argument = name;
  if (given == nullptr) {
    throw_null(call);
  }
  const DLTensor& t = *given;
  if (const std::size_t size = call.tensors->known_element_size(t); size > 0) {
    check_address(call, t, size);
    return call.tensors->view_again(static_cast<std::byte*>(t.data) + t.byte_offset);
  }
  if (t.ndim < 0 || t.ndim > most_axes) {
    throw_axes(call, t.ndim);
  }
  if (t.shape == nullptr && t.ndim > 0) {
    throw_no_shape(call, t.ndim);
  }
  const DType dtype = dtype_of(call, t.dtype);
  const Device device = device_of(call, t.device);
  if (!is_empty(t)) {
    check_address(call, t, size_of(dtype));
  }
  if (device.type != DeviceType::CPU) {
    return device_tensor(t, dtype, device);
  }
  return call.tensors->view(
      t, is_empty(t) ? nullptr : static_cast<std::byte*>(t.data) + t.byte_offset, dtype);
}

Tensor optional(Call& call, const char* name, const DLTensor* given) {
  return given == nullptr ? Tensor() : required(call, name, given);
}

RunningStats optional_running(Call& call, const DLTensor* mean, const DLTensor* var) {
  RunningStats running;
  running.mean = optional(call, "running_mean", mean);
  running.var = optional(call, "running_var", var);
  if (running.mean.defined() != running.var.defined()) {
    throw ValueError(std::string(call.function) + ": got NULL for " +
                     (mean == nullptr ? "running_mean" : "running_var") +
                     " alone, wanted running_mean and running_var, or NULL for both");
  }
  return running;
}

}  // namespace halnorm::HALNORM_ABI::c_api
