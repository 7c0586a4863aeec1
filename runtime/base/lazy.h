#pragma once

#include <atomic>
#include <memory>

#include "halnorm/version.h"

/// @file
/// Values that are constructed at their first use.

namespace halnorm::HALNORM_ABI::detail {

/// The value is constructed by the first call of get(). Threads that call at the same time may each
/// construct one, and the first one is kept; this needs no lock, which a fork could find held. The
/// value is never destroyed, because destructors of a program's globals call the library too.
template <class T>
class Lazy {
 public:
  constexpr Lazy() noexcept = default;
  Lazy(const Lazy&) = delete;
  Lazy& operator=(const Lazy&) = delete;

  /// @throws the exceptions of T's constructor; the next call tries again.
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

}  // namespace halnorm::HALNORM_ABI::detail
