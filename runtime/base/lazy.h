#pragma once

#include <atomic>
#include <memory>

/// @file
/// Values that are made at their first use.

namespace halnorm::detail {

/// Made by the first thread that asks; threads that ask at once may make one each, and the first
/// stays. So there is no lock that a fork could find held. Never destroyed: calls come from
/// destructors of the program's own globals too.
template <class T>
class Lazy {
 public:
  constexpr Lazy() noexcept = default;
  Lazy(const Lazy&) = delete;
  Lazy& operator=(const Lazy&) = delete;

  /// @throws what the constructor of T throws; the next call tries again.
  const T& get() {
    const T* known = made_.load(std::memory_order_acquire);
    if (known != nullptr) {
      return *known;
    }
    auto made = std::make_unique<const T>();
    if (made_.compare_exchange_strong(known, made.get(), std::memory_order_acq_rel)) {
      return *made.release();
    }
    return *known;
  }

 private:
  std::atomic<const T*> made_{nullptr};
};

}  // namespace halnorm::detail
