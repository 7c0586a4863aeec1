#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/format.h"
#include "device/interface.h"
#include "device/memory.h"
#include "halnorm/error.h"
#include "kernels/memory/block_cache.h"
#include "kernels/memory/workspace.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI {

namespace {

/// A cache line, which also is the widest vector.
constexpr std::size_t alignment = 64;

/// Memory for elements, and the count of writes to them.
struct Block {
  std::shared_ptr<void> storage;
  detail::WriteCount* writes;
  void* first;
};

/// glibc keeps freed blocks of about 1 KB per thread. A larger one takes it ten times as many
/// instructions, as many as the checks of a call.
constexpr std::size_t most_of_allocator = 900;

/// Aligned by hand within a plain allocation: the allocator's own aligned form takes twice as long.
Block allocate_small(std::size_t bytes) {
  constexpr std::size_t head = sizeof(detail::WriteCount);
  std::size_t space = bytes + alignment;
  auto storage = bytes <= most_of_allocator
                     ? std::make_shared_for_overwrite<std::byte[]>(head + space)
                     : std::allocate_shared_for_overwrite<std::byte[]>(
                           detail::WorkspaceAllocator<std::byte>(), head + space);
  void* first = storage.get() + head;
  std::align(alignment, bytes, first, space);
  auto* writes = ::new (static_cast<std::byte*>(first) - head) detail::WriteCount;
  return {std::move(storage), writes, first};
}

Block allocate_large(std::size_t bytes) {
  void* const block =
      bytes > SIZE_MAX - alignment ? nullptr : detail::take_block(bytes + alignment);
  if (block == nullptr) {
    throw std::bad_alloc();
  }
  auto* writes = ::new (block) detail::WriteCount;
  return {std::shared_ptr<void>(block, detail::GivesBlock()), writes,
          static_cast<std::byte*>(block) + alignment};
}

Block allocate(std::size_t bytes) {
  if (bytes >= detail::least_block) {
    return allocate_large(bytes);
  }
  try {
    return allocate_small(bytes);
  } catch (const std::bad_alloc&) {
    if (!detail::drop_blocks()) {
      throw;
    }
    return allocate_small(bytes);
  }
}

void require_one_cpu(const char* function, Device device) {
  if (device.type == DeviceType::CPU && device.index != 0) {
    throw DeviceError(std::string(function) + ": got cpu with index " +
                      std::to_string(device.index) + ", wanted index 0");
  }
}

Block block_for(const char* function, const Shape& shape, std::int64_t count, DType dtype) {
  try {
    return allocate(detail::object_bytes(count, size_of(dtype)));
  } catch (const std::bad_alloc&) {
    detail::throw_no_memory(function, shape, size_of(dtype));
  }
}

/// Apart, so that the check itself is short.
[[noreturn, gnu::cold]] void throw_unknown(const char* function, DType dtype) {
  throw DTypeError(std::string(function) + ": got " + detail::to_string(dtype) +
                   ", wanted float16, bfloat16, float32, float64 or int64");
}

std::int64_t checked_count(const char* function, const Shape& shape, DType dtype) {
  if (size_of(dtype) == 0) {
    throw_unknown(function, dtype);
  }
  return detail::checked_numel(function, shape, size_of(dtype));
}

/// Elements from the lowest place to the highest.
std::int64_t span_of(const Shape& shape, const detail::Strides& strides) {
  std::int64_t span = 1;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    span += std::max<std::int64_t>(strides[axis], 0) * (shape[axis] - 1);
  }
  return span;
}

}  // namespace

Tensor detail::TensorAccess::make(const char* function, const Shape& shape, DType dtype,
                                  Device device, bool channels_last) {
  require_one_cpu(function, device);
  const std::int64_t count = checked_count(function, shape, dtype);
  if (device.type != DeviceType::CPU) {
    auto memory = detail::DeviceMemory::allocate(function, device, count, dtype);
    detail::Strides strides(shape.size());
    detail::fill_dense_strides(strides, shape, channels_last);
    auto* base = memory->base();
    return Tensor(
        std::make_shared<Fields>(std::move(memory), base, shape, std::move(strides), count, dtype));
  }
  Block block = block_for(function, shape, count, dtype);
  auto fields = Fields::fresh(shape, channels_last);
  fields->storage = std::move(block.storage);
  fields->writes = block.writes;
  fields->data = block.first;
  fields->numel = count;
  fields->dtype = dtype;
  fields->bytes = {};
  if (count > 0) {
    fields->bytes.first = detail::address_of(block.first);
    fields->bytes.past = fields->bytes.first + count * static_cast<std::int64_t>(size_of(dtype));
  }
  fields->contiguous = !channels_last || detail::is_contiguous(shape, fields->strides);
  return Tensor(std::move(fields));
}

namespace {

Tensor make(const char* function, Shape&& shape, DType dtype, Device device) {
  return detail::TensorAccess::make(function, shape, dtype, device);
}

Tensor make_filled(const char* function, Shape&& shape, double value, DType dtype, Device device) {
  Tensor result = make(function, std::move(shape), dtype, device);
  result.fill_(value);
  return result;
}

}  // namespace

Tensor Tensor::empty(Shape shape, DType dtype, Device device) {
  return make("Tensor::empty", std::move(shape), dtype, device);
}

Tensor Tensor::full(Shape shape, double value, DType dtype, Device device) {
  return make_filled("Tensor::full", std::move(shape), value, dtype, device);
}

Tensor Tensor::zeros(Shape shape, DType dtype, Device device) {
  return make_filled("Tensor::zeros", std::move(shape), 0.0, dtype, device);
}

Tensor Tensor::ones(Shape shape, DType dtype, Device device) {
  return make_filled("Tensor::ones", std::move(shape), 1.0, dtype, device);
}

Tensor Tensor::from_blob(void* data, Shape shape, DType dtype, std::vector<std::int64_t> strides) {
  const std::int64_t count = checked_count("Tensor::from_blob", shape, dtype);
  if (strides.empty()) {
    strides = detail::contiguous_strides(shape);
  }
  if (strides.size() != shape.size()) {
    throw ShapeError("Tensor::from_blob: got " + std::to_string(strides.size()) +
                     " strides for shape " + detail::to_string(shape) + ", wanted " +
                     std::to_string(shape.size()));
  }
  if (count > 0) {
    if (data == nullptr) {
      throw ValueError("Tensor::from_blob: got a null pointer for shape " +
                       detail::to_string(shape) + ", wanted the address of " +
                       std::to_string(count) + " elements");
    }
    detail::checked_extremes("Tensor::from_blob", shape, strides, size_of(dtype));
  }
  auto writes = std::make_shared<detail::WriteCount>();
  return Tensor(std::make_shared<Impl>(writes, writes.get(), data, std::move(shape),
                                       std::move(strides), count, dtype));
}

Tensor Tensor::from_blob(void* data, Shape shape, DType dtype, std::vector<std::int64_t> strides,
                         Device device) {
  require_one_cpu("Tensor::from_blob", device);
  const Tensor checked = from_blob(data, std::move(shape), dtype, std::move(strides));
  if (device.type == DeviceType::CPU || checked.numel() == 0) {
    return checked.numel() == 0
               ? detail::TensorAccess::make("Tensor::from_blob", checked.shape(), dtype, device)
               : checked;
  }
  const Impl& host = *checked.impl_;
  if (std::any_of(host.strides.begin(), host.strides.end(), [](auto step) { return step < 0; })) {
    throw ShapeError("Tensor::from_blob: got strides " + detail::to_string(host.strides) +
                     ", wanted none below zero on a device");
  }
  auto memory = detail::DeviceMemory::wrap("Tensor::from_blob", device, data,
                                           span_of(host.shape, host.strides), dtype);
  auto* base = memory->base();
  return Tensor(
      std::make_shared<Impl>(std::move(memory), base, host.shape, host.strides, host.numel, dtype));
}

template <class T>
Tensor Tensor::from(std::span<const T> values, Shape shape) {
  const std::int64_t count = detail::checked_numel("Tensor::from", shape, sizeof(T));
  if (std::cmp_not_equal(values.size(), count)) {
    throw ShapeError("Tensor::from: got " + std::to_string(values.size()) + " values for shape " +
                     detail::to_string(shape) + ", wanted " + std::to_string(count));
  }
  Tensor result = make("Tensor::from", std::move(shape), DTypeOf<T>::value, Device::cpu());
  if (count > 0) {
    std::memcpy(result.raw_data(), values.data(), values.size_bytes());
  }
  return result;
}
template Tensor Tensor::from<float>(std::span<const float>, Shape);
template Tensor Tensor::from<double>(std::span<const double>, Shape);
template Tensor Tensor::from<std::int64_t>(std::span<const std::int64_t>, Shape);

Tensor Tensor::to(Device device) const {
  const Impl& self = any_impl("to");
  if (self.device == device) {
    return *this;
  }
  if (self.distribution) {
    return detail::from_part(*this, [device](const Tensor& part) { return part.to(device); });
  }
  require_one_cpu("Tensor::to", device);
  if (device.type != DeviceType::CPU) {
    detail::require_device("Tensor::to", device);
  }
  Tensor result = detail::TensorAccess::make("Tensor::to", self.shape, self.dtype, device);
  result.copy_(*this);
  return result;
}

}  // namespace halnorm::HALNORM_ABI
