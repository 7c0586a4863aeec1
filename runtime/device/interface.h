#pragma once

#include <HalideRuntime.h>

#include "halnorm/device.h"

namespace halnorm::detail {

/// What Halide's runtime knows such devices by; null if this build has no kernels for them.
const halide_device_interface_t* interface_of(DeviceType type) noexcept;

/// @throws DeviceError, named after `function`, if the device cannot be used. Halide holds one
/// device of each type: the one that is asked for first.
void require_device(const char* function, Device device);

}  // namespace halnorm::detail
