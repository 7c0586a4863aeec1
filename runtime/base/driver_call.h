#pragma once

#include <new>

/// @file
/// A process that ends takes its drivers along: their own destructors run among those of the
/// program, and a driver that still works then brings the process down (PoCL compiles kernels in
/// threads of its own). So before that, calls that have begun are waited for, and what they have
/// put into queues; later ones are refused.

namespace halnorm::detail {

/// A time in which this thread uses a device's driver.
class DriverCall {
 public:
  /// @throws DeviceError, named after `function`, if the process is ending. Other threads than the
  /// one that ends it wait before they get it, since most will not live to see it.
  explicit DriverCall(const char* function);
  /// Does not wait, and does not throw: ask has_begun().
  explicit DriverCall(std::nothrow_t /*does_not_throw*/) noexcept;
  DriverCall(const DriverCall&) = delete;
  DriverCall& operator=(const DriverCall&) = delete;
  ~DriverCall();

  [[nodiscard]] bool has_begun() const noexcept { return has_begun_; }

 private:
  bool has_begun_;
};

/// Has `finish` called when the process ends, before a driver that was loaded by now ends, after
/// which no DriverCall begins. Not where it ends by std::quick_exit() or _Exit(), which run no
/// destructor of a driver's. @throws std::bad_alloc
void finish_at_exit(void (*finish)());

}  // namespace halnorm::detail
