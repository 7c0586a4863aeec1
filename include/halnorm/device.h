#pragma once

#if __cplusplus < 202002L
#error "halnorm needs C++20: compile with -std=c++20, or with CMake's feature cxx_std_20"
#endif

#include <compare>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "halnorm/version.h"

/// @file
/// Devices: the CPU, and CUDA and OpenCL devices.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI {

/// The kinds of device that a tensor can be on.
enum class DeviceType : std::uint8_t { CPU, CUDA, OpenCL };

/// The device that holds a tensor's elements.
struct Device {
  DeviceType type = DeviceType::CPU;  ///< the kind
  int index = 0;                      ///< the number among devices of this kind

  constexpr Device() noexcept = default;
  /// The device of this kind and number; the device need not exist.
  constexpr Device(DeviceType device_type, int device_index) noexcept
      : type(device_type), index(device_index) {}

  /// Parses "cpu", "cuda", "cuda:1", "opencl", "opencl:0".
  /// @throws DeviceError for anything else.
  explicit Device(std::string_view name);
  /// The same as an implicit conversion, for arguments: m.to("cuda:1").
  template <std::convertible_to<std::string_view> Name>
  Device(const Name& name)  // NOLINT(*-explicit-constructor)
      : Device(std::string_view(name)) {}

  /// A device of the kind that the function is named after.
  /// @{
  static constexpr Device cpu() noexcept { return {DeviceType::CPU, 0}; }
  static constexpr Device cuda(int index = 0) noexcept { return {DeviceType::CUDA, index}; }
  static constexpr Device opencl(int index = 0) noexcept { return {DeviceType::OpenCL, index}; }
  /// @}

  /// "cpu", "cuda:0", "opencl:0".
  [[nodiscard]] std::string str() const;

  /// Orders by type, then by index.
  friend constexpr auto operator<=>(Device, Device) noexcept = default;
};

/// Whether this build has kernels for the device type and the driver has a device that runs a test
/// kernel correctly. The first call loads the driver, runs that kernel and waits for its result.
bool is_available(DeviceType type);

/// Waits until the device has finished all work that halnorm enqueued; under a cuda::StreamGuard,
/// until the guard's stream is empty. Calls on device tensors return before the device is done.
/// @throws DeviceError if the device cannot be used.
void synchronize(Device device);

}  // namespace halnorm::HALNORM_ABI

#pragma GCC visibility pop
