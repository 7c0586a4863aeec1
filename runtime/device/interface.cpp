#include "device/interface.h"

#include <array>
#include <map>
#include <mutex>

#include "base/driver_call.h"
#include "device/cuda.h"
#include "halnorm/error.h"
#include "kernels/call.h"
#include "kernels/table.h"

#define HALNORM_DEVICE(name, type) \
  extern "C" const halide_device_interface_t* halide_##name##_device_interface();
#include "halnorm_devices.inc"
#undef HALNORM_DEVICE

namespace halnorm::HALNORM_ABI {

namespace detail {

namespace {

/// The device types that Held has an index for.
constexpr std::array device_types{DeviceType::CUDA, DeviceType::OpenCL};

/// The index of the device that Halide holds, for each type; -1 for none.
struct Held {
  std::mutex mutex;
  std::array<int, 3> index{-1, -1, -1};
  std::map<Device, std::string> refused;  ///< the reason, so that a device is probed once

  [[nodiscard]] bool knows(DeviceType type) const noexcept {
    return static_cast<std::size_t>(type) < index.size();
  }
  int& of(DeviceType type) { return index[static_cast<std::size_t>(type)]; }
};

/// The object is never destroyed, because other destructors may ask for a device.
Held& held() {
  static Held& all = *new Held;
  return all;
}

/// Eight equal float64 values on a device, for a probe.
class FewValues {
 public:
  explicit FewValues(double value) {
    values_.fill(value);
    buffer_.host = reinterpret_cast<std::uint8_t*>(values_.data());
    buffer_.type = halide_type_t(halide_type_float, 64);
    buffer_.dimensions = 1;
    buffer_.dim = &axis_;
    buffer_.set_host_dirty();
  }
  FewValues(const FewValues&) = delete;
  FewValues& operator=(const FewValues&) = delete;
  ~FewValues() { halide_device_free(nullptr, &buffer_); }

  int upload(const halide_device_interface_t* interface) {
    return halide_copy_to_device(nullptr, &buffer_, interface);
  }
  int download() { return halide_copy_to_host(nullptr, &buffer_); }
  halide_buffer_t* get() noexcept { return &buffer_; }
  [[nodiscard]] const std::array<double, 8>& values() const noexcept { return values_; }

 private:
  std::array<double, 8> values_;
  halide_dimension_t axis_{0, static_cast<std::int32_t>(values_.size()), 1};
  halide_buffer_t buffer_{};
};

/// Runs the smallest kernel: 3/4 of the running statistics and 1/4 of the batch's, m2 / (2 - 1).
int run_a_kernel(DeviceType type, FewValues& running, FewValues& batch, FewValues& mean,
                 FewValues& var) {
  double count = 2;
  double factor = 0.25;
  std::array<void*, 8> arguments{running.get(), running.get(), batch.get(), batch.get(),
                                 &count,        &factor,       mean.get(),  var.get()};
  return find_kernel(rows::update_running_stats, Layout::c, Element::f64, type)
      ->run(arguments.data());
}

/// Allocates memory, which loads the driver, and runs a kernel. Returns the reason of a failure. A
/// device may be too old for the kernels, may have no double, or may compute nothing.
std::string try_out(DeviceType type, const halide_device_interface_t* interface) {
  FewValues running(4);
  FewValues batch(2);
  FewValues mean(0);
  FewValues var(0);
  constexpr double wanted = 3.5;
  for (FewValues* values : {&running, &batch, &mean, &var}) {
    if (values->upload(interface) != 0) {
      return "no driver or no device: " + take_message();
    }
  }
  if (run_a_kernel(type, running, batch, mean, var) != 0 || mean.download() != 0 ||
      var.download() != 0 || halide_device_sync_global(nullptr, interface) != 0) {
    return "its kernels do not run there: " + take_message();
  }
  for (const FewValues* values : {&mean, &var}) {
    for (const double value : values->values()) {
      if (value != wanted) {
        return "its kernels compute nothing there, or something else: got " +
               std::to_string(value) + ", wanted " + std::to_string(wanted);
      }
    }
  }
  return "";
}

/// Waits for all devices.
void finish_all() {
  for (const DeviceType type : device_types) {
    if (held().of(type) >= 0 && halide_device_sync_global(nullptr, interface_of(type)) != 0) {
      forget_message();  // the process ends, and no call can throw
    }
  }
}

/// The reason why the device cannot be used; empty if it can.
std::string probe(Device device) {
  const halide_device_interface_t* interface = interface_of(device.type);
  if (interface == nullptr) {
    return device.type == DeviceType::CUDA ? "this build has no cuda kernels"
                                           : "this build has no opencl kernels";
  }
  prepare_runtime();
  if (device.type == DeviceType::CUDA) {
    heed_guards();
  }
  halide_set_gpu_device(device.index);
  std::string reason = try_out(device.type, interface);
  if (!reason.empty() && guarded().context == nullptr) {
    halide_device_release(nullptr, interface);  // so that the next probe can use another device
    forget_message();
  }
  return reason;
}

/// The reason why the device cannot be used. It is empty if it can; the process then holds the
/// device. The caller has the lock.
std::string refusal(Held& all, Device device) {
  if (!all.knows(device.type)) {
    return "there is no such type of device";
  }
  if (device.index < 0) {
    return "its index is negative";
  }
  int& index = all.of(device.type);
  if (index == device.index) {
    return "";
  }
  if (index >= 0) {
    return "a process uses one device of each type, and has " + Device(device.type, index).str();
  }
  const auto known = all.refused.find(device);
  if (known != all.refused.end()) {
    return known->second;
  }
  std::string reason = probe(device);
  if (reason.empty()) {
    finish_at_exit(&finish_all);
    index = device.index;
  } else if (guarded().context == nullptr) {  // the context of another guard may work
    all.refused[device] = reason;
  }
  return reason;
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

void require_device(const char* function, Device device) {
  const DriverCall call(function);
  const std::scoped_lock lock(held().mutex);
  if (const std::string reason = refusal(held(), device); !reason.empty()) {
    throw DeviceError(std::string(function) + ": " + device.str() + " cannot be used: " + reason);
  }
}

}  // namespace detail

bool is_available(DeviceType type) {
  if (type == DeviceType::CPU) {
    return true;
  }
  const detail::DriverCall call(std::nothrow);
  if (!call.has_begun()) {
    return false;
  }
  detail::Held& all = detail::held();
  const std::scoped_lock lock(all.mutex);
  return all.knows(type) && (all.of(type) >= 0 || detail::refusal(all, {type, 0}).empty());
}

void synchronize(Device device) {
  if (device.type == DeviceType::CPU) {
    return;
  }
  detail::require_device("synchronize", device);
  const detail::DriverCall call("synchronize");
  const int code = halide_device_sync_global(nullptr, detail::interface_of(device.type));
  if (code != 0) {
    throw DeviceError("synchronize: " + device.str() + " failed with code " + std::to_string(code) +
                      ": " + detail::take_message());
  }
}

}  // namespace halnorm::HALNORM_ABI
