#include "halnorm/device.h"

#include <charconv>

#include "halnorm/error.h"

namespace halnorm::HALNORM_ABI {

namespace {

std::string_view name_of(DeviceType type) noexcept {
  switch (type) {
    case DeviceType::CUDA:
      return "cuda";
    case DeviceType::OpenCL:
      return "opencl";
    case DeviceType::CPU:
      break;
  }
  return "cpu";
}

/// ":3" as 3, "" as 0, anything else as -1.
int parse_index(std::string_view text) noexcept {
  if (text.empty()) {
    return 0;
  }
  int index = -1;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data() + 1, last, index);
  return text.front() == ':' && error == std::errc() && end == last ? index : -1;
}

}  // namespace

Device::Device(std::string_view name) {
  for (const DeviceType known : {DeviceType::CPU, DeviceType::CUDA, DeviceType::OpenCL}) {
    const std::string_view prefix = name_of(known);
    if (!name.starts_with(prefix)) {
      continue;
    }
    const std::string_view rest = name.substr(prefix.size());
    if (const int parsed = parse_index(rest);
        parsed >= 0 && (known != DeviceType::CPU || rest.empty())) {
      type = known;
      index = parsed;
      return;
    }
  }
  throw DeviceError("Device: got \"" + std::string(name) +
                    R"(", wanted "cpu", "cuda", "cuda:<index>", "opencl" or "opencl:<index>")");
}

std::string Device::str() const {
  const bool known = type <= DeviceType::OpenCL;
  std::string text = known ? std::string(name_of(type))
                           : "DeviceType(" + std::to_string(static_cast<int>(type)) + ")";
  return type == DeviceType::CPU ? text : text + ":" + std::to_string(index);
}

}  // namespace halnorm::HALNORM_ABI
