#include "c_api/status.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <exception>
#include <new>
#include <string_view>

#include "halnorm/error.h"

namespace halnorm::HALNORM_ABI::c_api {

namespace {

/// Text that is cut if it does not fit, and ends in a zero. All zero at the start, so that a thread
/// constructs nothing.
class Message {
 public:
  void clear() noexcept { size_ = 0; }

  void append(std::string_view text) noexcept {
    const std::size_t kept = std::min(text.size(), text_.size() - 1 - size_);
    size_ += text.copy(text_.data() + size_, kept);
    text_[size_] = '\0';
    if (kept < text.size()) {
      constexpr std::string_view cut = "...";
      std::copy(cut.begin(), cut.end(), text_.data() + size_ - cut.size());
    }
  }

  [[nodiscard]] const char* text() const noexcept { return text_.data(); }

 private:
  std::array<char, 1024> text_{};
  std::size_t size_ = 0;
};

thread_local constinit Message last_error;

bool takes(std::string_view& text, std::string_view start) noexcept {
  if (!text.starts_with(start)) {
    return false;
  }
  text.remove_prefix(start.size());
  return true;
}

/// Appends the text of a C++ error with C's names in it. It starts with the name of a C++ function,
/// which the C function's replaces.
void append_translated(const Call& call, std::string_view text) noexcept {
  const std::size_t colon = text.find(": ");
  const std::string_view function = text.substr(0, colon);
  const bool is_name =
      colon != std::string_view::npos && function.find(' ') == std::string_view::npos;
  if (is_name) {
    text.remove_prefix(colon + 2);
  }
  if (is_name && function.starts_with("Tensor::") && call.argument != nullptr) {
    last_error.append(call.argument);
    last_error.append(": ");
  } else if (takes(text, "out ")) {
    last_error.append(call.output);
    last_error.append(" ");
  } else if (takes(text, "factor ")) {
    last_error.append(call.factor);
    last_error.append(" ");
  } else {
    takes(text, "moments.");
  }
  last_error.append(text);
}

halnorm_status failed(const Call& call, halnorm_status status, std::string_view text) noexcept {
  last_error.clear();
  last_error.append(call.function);
  last_error.append(": ");
  append_translated(call, text);
  return status;
}

}  // namespace

halnorm_status report(const Call& call) noexcept {
  try {
    throw;
  } catch (const ShapeError& error) {
    return failed(call, HALNORM_SHAPE_ERROR, error.what());
  } catch (const DTypeError& error) {
    return failed(call, HALNORM_DTYPE_ERROR, error.what());
  } catch (const DeviceError& error) {
    return failed(call, HALNORM_DEVICE_ERROR, error.what());
  } catch (const ValueError& error) {
    return failed(call, HALNORM_VALUE_ERROR, error.what());
  } catch (const LoadError& error) {
    return failed(call, HALNORM_LOAD_ERROR, error.what());
  } catch (const KernelError& error) {
    return failed(call, HALNORM_KERNEL_ERROR, error.what());
  } catch (const MemoryError& error) {
    return failed(call, HALNORM_OUT_OF_MEMORY, error.what());
  } catch (const std::bad_alloc&) {
    return failed(call, HALNORM_OUT_OF_MEMORY, "got no memory for the call's own small objects");
  } catch (const std::exception& error) {
    return failed(call, HALNORM_INTERNAL_ERROR, error.what());
  } catch (...) {
    return failed(call, HALNORM_INTERNAL_ERROR, "an exception that is no std::exception");
  }
}

}  // namespace halnorm::HALNORM_ABI::c_api

const char* halnorm_last_error(void) { return halnorm::c_api::last_error.text(); }

const char* halnorm_status_string(halnorm_status status) {
  // Not as an enumeration: C may pass any number.
  switch (std::bit_cast<std::int32_t>(status)) {
    case HALNORM_OK:
      return "ok";
    case HALNORM_SHAPE_ERROR:
      return "shape error";
    case HALNORM_DTYPE_ERROR:
      return "dtype error";
    case HALNORM_DEVICE_ERROR:
      return "device error";
    case HALNORM_VALUE_ERROR:
      return "value error";
    case HALNORM_LOAD_ERROR:
      return "load error";
    case HALNORM_KERNEL_ERROR:
      return "kernel error";
    case HALNORM_OUT_OF_MEMORY:
      return "out of memory";
    case HALNORM_INTERNAL_ERROR:
      return "internal error";
    default:
      return "unknown status";
  }
}
