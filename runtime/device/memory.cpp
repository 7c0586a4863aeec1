#include "device/memory.h"

#include <bit>
#include <limits>
#include <string>
#include <utility>

#include "base/address_range.h"
#include "base/driver_call.h"
#include "device/interface.h"
#include "halnorm/error.h"
#include "kernels/call.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

void check_elements(const char* function, std::int64_t elements) {
  if (elements > std::numeric_limits<std::int32_t>::max()) {
    throw ShapeError(std::string(function) + ": got " + std::to_string(elements) +
                     " elements, wanted at most 2147483647 on a device");
  }
}

void check(const char* what, Device device, int code) {
  if (code != 0) {
    throw DeviceError(std::string(what) + ": " + device.str() + " failed with code " +
                      std::to_string(code) + ": " + take_message());
  }
}

}  // namespace

/// A buffer for neighbouring elements of an allocation.
class DeviceMemory::Part {
 public:
  Part(const DeviceMemory& whole, const void* address, std::int64_t elements)
      : axis_(0, static_cast<std::int32_t>(elements), 1), buffer_(whole.buffer_) {
    buffer_.dim = &axis_;
    const std::int64_t first =
        (static_cast<const std::byte*>(address) - whole.base_) / size_of_element(whole);
    axis_.min = static_cast<std::int32_t>(first);
    if (first == 0) {
      return;
    }
    buffer_.device = 0;
    buffer_.device_interface = nullptr;
    halide_buffer_t all = whole.buffer_;
    check("a part of a tensor", whole.device_, halide_device_crop(nullptr, &all, &buffer_));
    cropped_ = true;
    axis_.min = 0;
  }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;
  ~Part() {
    if (cropped_) {
      halide_device_release_crop(nullptr, &buffer_);
    }
  }

  /// Restricts the buffer to the elements of these axes.
  void step(const std::vector<Axis>& axes) {
    for (const Axis& axis : axes) {
      axes_.emplace_back(0, static_cast<std::int32_t>(axis.extent),
                         static_cast<std::int32_t>(axis.target));
    }
    buffer_.dimensions = static_cast<std::int32_t>(axes_.size());
    buffer_.dim = axes_.data();
  }

  halide_buffer_t* get() noexcept { return &buffer_; }

 private:
  static std::int64_t size_of_element(const DeviceMemory& whole) {
    return static_cast<std::int64_t>(size_of(whole.dtype_));
  }

  halide_dimension_t axis_;
  std::vector<halide_dimension_t> axes_;
  halide_buffer_t buffer_;
  bool cropped_ = false;
};

DeviceMemory::DeviceMemory(Device device, std::int64_t elements, DType dtype)
    : device_(device),
      dtype_(dtype),
      block_{device.type, cached_size(static_cast<std::int64_t>(bytes_of(elements))),
             device.type == DeviceType::CUDA ? guarded() : Guarded{}},
      axis_(0, static_cast<std::int32_t>(elements), 1) {
  buffer_.type = type_of(dtype);
  buffer_.dimensions = 1;
  buffer_.dim = &axis_;
}

halide_type_t DeviceMemory::type_of(DType dtype) noexcept {
  return size_of(dtype) == 2 ? halide_type_t(halide_type_uint, 16) : halide_type(dtype);
}

std::shared_ptr<const DeviceMemory> DeviceMemory::allocate(const char* function, Device device,
                                                           std::int64_t elements, DType dtype) {
  require_device(function, device);
  const DriverCall call(function);
  check_elements(function, elements);
  // Drivers refuse an allocation of 0 bytes.
  const std::int64_t some = elements == 0 ? 1 : elements;
  std::shared_ptr<DeviceMemory> memory(new DeviceMemory(device, some, dtype));
  check(function, device, allocate_device_block(memory->block_));
  memory->owned_ = true;
  memory->buffer_.device = memory->block_.handle;
  memory->buffer_.device_interface = interface_of(device.type);
  memory->base_ =
      device.type == DeviceType::CUDA
          ? std::bit_cast<std::byte*>(static_cast<std::uintptr_t>(memory->buffer_.device))
          : next_range(memory->bytes_of(some));
  return memory;
}

std::shared_ptr<const DeviceMemory> DeviceMemory::wrap(const char* function, Device device,
                                                       void* handle, std::int64_t elements,
                                                       DType dtype) {
  require_device(function, device);
  const DriverCall call(function);
  check_elements(function, elements);
  const bool has_address = device.type == DeviceType::CUDA;
  const auto size = static_cast<std::uintptr_t>(size_of(dtype));
  if (has_address && reinterpret_cast<std::uintptr_t>(handle) % size != 0) {
    throw ValueError(std::string(function) + ": got an address on " + device.str() +
                     " that is no multiple of " + std::to_string(size) + ", wanted one of a " +
                     std::string(name_of(dtype)));
  }
  std::shared_ptr<DeviceMemory> memory(new DeviceMemory(device, elements, dtype));
  check(
      function, device,
      halide_device_wrap_native(nullptr, &memory->buffer_, reinterpret_cast<std::uintptr_t>(handle),
                                interface_of(device.type)));
  memory->base_ =
      has_address ? static_cast<std::byte*>(handle) : range_of(handle, memory->bytes_of(elements));
  return memory;
}

DeviceMemory::~DeviceMemory() {
  if (owned_) {
    cache_device_block(block_);
  } else if (const DriverCall call(std::nothrow); call.has_begun() && buffer_.device != 0) {
    halide_device_detach_native(nullptr, &buffer_);
  }
}

void DeviceMemory::require_context(const char* function, const char* name) const {
  const bool is_known = device_.type == DeviceType::CUDA && owned_;
  if (is_known && block_.made_under.context != guarded().context) {
    throw DeviceError(std::string(function) + ": " + name +
                      " lies in another CUDA context, wanted " +
                      (guarded().context == nullptr ? "halnorm's own, since there is no StreamGuard"
                                                    : "that of this thread's StreamGuard"));
  }
}

bool DeviceMemory::is_in_stream() const noexcept {
  return device_.type == DeviceType::CUDA && guarded().context != nullptr;
}

std::size_t DeviceMemory::bytes_of(std::int64_t elements) const noexcept {
  return static_cast<std::size_t>(elements) * static_cast<std::size_t>(size_of(dtype_));
}

ClPart DeviceMemory::part_at(const void* address) const noexcept {
  return {buffer_, static_cast<std::size_t>(static_cast<const std::byte*>(address) - base_)};
}

bool DeviceMemory::can_start_at(const void* address) const noexcept {
  constexpr std::uintptr_t vector = 16;
  return device_.type == DeviceType::CUDA ? reinterpret_cast<std::uintptr_t>(address) % vector == 0
                                          : address == base_;
}

bool DeviceMemory::can_hold_channels_at(const void* address) const noexcept {
  return device_.type == DeviceType::CUDA || address == base_;
}

void DeviceMemory::place(halide_buffer_t& buffer, const void* address) const noexcept {
  buffer.type = type_of(dtype_);
  buffer.device_interface = buffer_.device_interface;
  buffer.device =
      device_.type == DeviceType::CUDA ? reinterpret_cast<std::uintptr_t>(address) : buffer_.device;
}

void DeviceMemory::read(void* host, const void* address, std::int64_t elements) const {
  const DriverCall call("a copy to the host");
  require_context("a copy to the host", "the tensor");
  if (is_in_stream()) {
    copy_in_stream("a copy to the host", host, address, bytes_of(elements));
    wait_for_stream("a copy to the host");
    return;
  }
  Part part(*this, address, elements);
  part.get()->host = static_cast<std::uint8_t*>(host);
  part.get()->set_device_dirty();
  check("a copy to the host", device_, halide_copy_to_host(nullptr, part.get()));
}

void DeviceMemory::write(const void* host, const void* address, std::int64_t elements) const {
  write(host, address, {{elements, 1, 1}});
}

void DeviceMemory::write(const void* host, const void* address,
                         const std::vector<Axis>& axes) const {
  const DriverCall call("a copy from the host");
  require_context("a copy from the host", "the tensor");
  if (is_in_stream()) {
    write_in_stream(host, address, axes);
    return;
  }
  std::int64_t past = 1;
  for (const Axis& axis : axes) {
    past += axis.target * (axis.extent - 1);
  }
  Part part(*this, address, past);
  part.step(axes);
  part.get()->host = static_cast<std::uint8_t*>(const_cast<void*>(host));
  part.get()->set_host_dirty();
  check("a copy from the host", device_,
        halide_copy_to_device(nullptr, part.get(), interface_of(device_.type)));
}

void DeviceMemory::write_in_stream(const void* host, const void* address,
                                   std::vector<Axis> axes) const {
  const auto size = static_cast<std::int64_t>(size_of(dtype_));
  for_each_row(axes, [&](std::int64_t at, std::int64_t, const Axis& axis) {
    const std::int64_t together = axis.target == 1 ? axis.extent : 1;
    for (std::int64_t i = 0; i < axis.extent; i += together) {
      const std::int64_t from = (at + i * axis.target) * size;
      copy_in_stream("a copy from the host",
                     static_cast<std::byte*>(const_cast<void*>(address)) + from,
                     static_cast<const std::byte*>(host) + from, bytes_of(together));
    }
  });
  wait_for_stream("a copy from the host");
}

void DeviceMemory::fill(const void* address, std::int64_t elements, const void* value) const {
  const DriverCall call("a fill on a device");
  require_context("a fill on a device", "the tensor");
  const auto count = static_cast<std::size_t>(elements);
  if (device_.type == DeviceType::CUDA) {
    fill_in_stream("a fill on a device", address, value, bytes_of(1), count);
  } else {
    fill_in_queue("a fill on a device", part_at(address), value, bytes_of(1), count);
  }
}

void DeviceMemory::copy(const void* to, const DeviceMemory& source, const void* from,
                        std::int64_t elements) const {
  const DriverCall call("a copy on a device");
  require_context("a copy on a device", "the target");
  source.require_context("a copy on a device", "the source");
  if (is_in_stream()) {
    copy_in_stream("a copy on a device", const_cast<void*>(to), from, bytes_of(elements));
    return;
  }
  if (device_.type == DeviceType::OpenCL) {
    copy_in_queue("a copy on a device", part_at(to), source.part_at(from), bytes_of(elements));
    return;
  }
  Part target_part(*this, to, elements);
  Part source_part(source, from, elements);
  source_part.get()->set_device_dirty();
  check("a copy on a device", device_,
        halide_buffer_copy(nullptr, source_part.get(), interface_of(device_.type),
                           target_part.get()));
}

}  // namespace halnorm::HALNORM_ABI::detail
