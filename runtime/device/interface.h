#pragma once

#include <HalideRuntime.h>

#include "halnorm/device.h"

namespace halnorm::HALNORM_ABI::detail {

/// The interface of Halide's runtime for a device type; null if this build has no kernels for it.
const halide_device_interface_t* interface_of(DeviceType type) noexcept;

/// @throws DeviceError that names `function`, if the device cannot be used. Halide uses one device
/// of each type: the one that is used first.
void require_device(const char* function, Device device);

}  // namespace halnorm::HALNORM_ABI::detail
