#pragma once

#if __cplusplus < 202002L
#error "halnorm needs C++20: compile with -std=c++20, or with CMake's feature cxx_std_20"
#endif

#include <compare>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#pragma GCC visibility push(default)

namespace halnorm {

enum class DeviceType : std::uint8_t { CPU, CUDA, OpenCL };

/// Where a tensor's elements live.
struct Device {
  DeviceType type = DeviceType::CPU;
  int index = 0;

  constexpr Device() noexcept = default;
  constexpr Device(DeviceType device_type, int device_index) noexcept
      : type(device_type), index(device_index) {}

  /// Parses "cpu", "cuda", "cuda:1", "opencl", "opencl:0".
  /// @throws DeviceError for anything else.
  explicit Device(std::string_view name);
  /// The same, without a word, where a device is wanted: m.to("cuda:1").
  template <std::convertible_to<std::string_view> Name>
  Device(const Name& name)  // NOLINT(google-explicit-constructor)
      : Device(std::string_view(name)) {}

  static constexpr Device cpu() noexcept { return {DeviceType::CPU, 0}; }
  static constexpr Device cuda(int index = 0) noexcept { return {DeviceType::CUDA, index}; }
  static constexpr Device opencl(int index = 0) noexcept { return {DeviceType::OpenCL, index}; }

  /// "cpu", "cuda:0", "opencl:0".
  [[nodiscard]] std::string str() const;

  friend constexpr auto operator<=>(Device, Device) noexcept = default;
};

/// Whether this build has kernels for such devices and the driver has one that runs them rightly.
/// The first call loads the driver, runs a kernel and waits for its result.
bool is_available(DeviceType type);

/// Waits until everything that was asked of a device is done; under a cuda::StreamGuard, what was
/// put into its stream. Calls on tensors of a device return before they are.
/// @throws DeviceError if the device cannot be used.
void synchronize(Device device);

}  // namespace halnorm

#pragma GCC visibility pop
