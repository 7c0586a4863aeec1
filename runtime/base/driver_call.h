#pragma once

#include <new>

#include "halnorm/version.h"

/// @file
/// Driver calls and the end of the process. Drivers have static destructors, and a driver that
/// still works while they run crashes the process (PoCL compiles kernels in its own threads). So
/// the process first waits for calls that have begun and for their queued work, and later calls
/// fail.

namespace halnorm::HALNORM_ABI::detail {

/// The scope in which this thread uses a device's driver.
class DriverCall {
 public:
  /// @throws DeviceError that names `function`, if the process is ending. Threads other than the
  /// one that ends the process first wait, because the process usually ends in that time.
  explicit DriverCall(const char* function);
  /// Does not wait and does not throw; has_begun() has the result.
  explicit DriverCall(std::nothrow_t /*does_not_throw*/) noexcept;
  DriverCall(const DriverCall&) = delete;
  DriverCall& operator=(const DriverCall&) = delete;
  ~DriverCall();

  [[nodiscard]] bool has_begun() const noexcept { return has_begun_; }

 private:
  bool has_begun_;
};

/// Registers `finish`, which is called at the end of the process, before the static destructors of
/// drivers that are loaded now. No DriverCall begins after it. It is not called by
/// std::quick_exit() and _Exit(), which run no destructors of drivers. @throws std::bad_alloc
void finish_at_exit(void (*finish)());

}  // namespace halnorm::HALNORM_ABI::detail
