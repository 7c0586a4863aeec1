#include "kernels/launch.h"

#include <string_view>

#include "halnorm/error.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

thread_local constinit Launch own{};

}  // namespace

Launch& launch() noexcept { return own; }

void keep_message(void* /*context*/, const char* text) noexcept {
  if (own.message.front() != '\0') {
    return;  // the first error is the cause of later ones
  }
  const std::string_view all(text);
  const std::size_t kept = all.copy(own.message.data(), own.message.size() - 1);
  own.message[kept] = '\0';
}

std::string take_message() {
  std::string text(own.message.data());
  forget_message();
  return text;
}

void forget_message() noexcept { own.message.front() = '\0'; }

void throw_failure(const std::exception_ptr& thrown, const std::string& what, int code) {
  if (thrown) {
    forget_message();
    std::rethrow_exception(thrown);
  }
  throw KernelError(what + " failed with code " + std::to_string(code) + ": " + take_message());
}

}  // namespace halnorm::HALNORM_ABI::detail
