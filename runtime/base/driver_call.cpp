#include "base/driver_call.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "halnorm/error.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

// Longer than the end of a process takes; and a program may join such a thread as it ends.
constexpr std::chrono::seconds patience{5};

std::atomic<int> calls{0};  ///< that have begun, and not ended
thread_local int own_calls = 0;
std::atomic<bool> is_ending{false};
std::atomic<pid_t> owner;  ///< of the drivers
std::atomic<std::thread::id> ending_thread;
std::atomic<void (*)()> finish_all;

void leave() noexcept {
  --own_calls;
  --calls;
}

/// Whether it has: one within another always does.
bool begin() noexcept {
  ++calls;  // before it asks: end() either sees this call, or is seen by it
  ++own_calls;
  if (!is_ending || own_calls > 1) {
    return true;
  }
  leave();
  return false;
}

/// At the end of the process: no call begins any more, and those that have are waited for. Not in
/// a child, which has none of the threads that work for its parent; nor in a signal's handler that
/// ends the process within a call, which would wait for itself.
void end() {
  if (owner != getpid() || own_calls > 0) {
    return;
  }
  ending_thread = std::this_thread::get_id();
  is_ending = true;
  while (calls > 0) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  finish_all.load()();
}

}  // namespace

DriverCall::DriverCall(std::nothrow_t /*does_not_throw*/) noexcept : has_begun_(begin()) {}

DriverCall::DriverCall(const char* function) : DriverCall(std::nothrow) {
  if (has_begun_) {
    return;
  }
  if (ending_thread.load() != std::this_thread::get_id()) {
    std::this_thread::sleep_for(patience);
  }
  throw DeviceError(std::string(function) +
                    ": the process is ending, and with it the drivers of its devices");
}

DriverCall::~DriverCall() {
  if (has_begun_) {
    leave();
  }
}

void finish_at_exit(void (*finish)()) {
  finish_all = finish;
  owner = getpid();
  if (std::atexit(&end) != 0) {
    throw std::bad_alloc();
  }
}

}  // namespace halnorm::HALNORM_ABI::detail
