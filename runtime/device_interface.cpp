#include "device_interface.h"

#include <array>
#include <mutex>

#include "halide_glue.h"
#include "halnorm/error.h"

#define HALNORM_DEVICE(name, type) \
  extern "C" const halide_device_interface_t* halide_##name##_device_interface();
#include "halnorm_devices.inc"
#undef HALNORM_DEVICE

namespace halnorm {

namespace detail {

namespace {

std::size_t place_of(DeviceType type) { return static_cast<std::size_t>(type); }
constexpr std::size_t types = 3;

/// Allocates a little, which loads the driver.
std::string probe(DeviceType type) {
  if (type == DeviceType::CPU) {
    return "";
  }
  const halide_device_interface_t* interface = interface_of(type);
  if (interface == nullptr) {
    return type == DeviceType::CUDA ? "this build has no cuda kernels"
                                    : "this build has no opencl kernels";
  }
  prepare_runtime();
  halide_dimension_t axis(0, 64, 1);
  halide_buffer_t buffer{};
  buffer.type = halide_type_t(halide_type_uint, 8);
  buffer.dimensions = 1;
  buffer.dim = &axis;
  const int code = halide_device_malloc(nullptr, &buffer, interface);
  if (code != 0) {
    return "no driver or no device: " + take_message();
  }
  halide_device_free(nullptr, &buffer);
  // What a kernel keeps for itself is used again: giving it back would wait for the device.
  halide_reuse_device_allocations(nullptr, true);
  return "";
}

}  // namespace

const halide_device_interface_t* interface_of(DeviceType type) noexcept {
#define HALNORM_DEVICE(name, device_type)      \
  if (type == DeviceType::device_type) {       \
    return halide_##name##_device_interface(); \
  }
#include "halnorm_devices.inc"
#undef HALNORM_DEVICE
  static_cast<void>(type);
  return nullptr;
}

const std::string& why_not(DeviceType type) {
  static std::array<std::once_flag, types> asked;
  static std::array<std::string, types> answers;
  std::call_once(asked[place_of(type)], [&] { answers[place_of(type)] = probe(type); });
  return answers[place_of(type)];
}

void require_device(const char* function, Device device) {
  static std::mutex mutex;
  static std::array<int, types> used{-1, -1, -1};
  const std::scoped_lock lock(mutex);
  int& index = used[place_of(device.type)];
  if (index < 0 && device.index >= 0) {
    halide_set_gpu_device(device.index);
  }
  if (const std::string& reason = why_not(device.type); !reason.empty()) {
    throw DeviceError(std::string(function) + ": " + device.str() + " cannot be used: " + reason);
  }
  if (index < 0) {
    index = device.index;
  }
  if (index != device.index) {
    throw DeviceError(std::string(function) + ": got " + device.str() + ", wanted " +
                      Device(device.type, index).str() +
                      ": a process uses one device of each type, the first it asks for");
  }
}

}  // namespace detail

bool is_available(DeviceType type) { return detail::why_not(type).empty(); }

void synchronize(Device device) {
  if (device.type == DeviceType::CPU) {
    return;
  }
  detail::require_device("synchronize", device);
  const int code = halide_device_sync_global(nullptr, detail::interface_of(device.type));
  if (code != 0) {
    throw DeviceError("synchronize: " + device.str() + " failed with code " + std::to_string(code) +
                      ": " + detail::take_message());
  }
}

}  // namespace halnorm
