#include "driver_call.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "halnorm/error.h"

namespace halnorm::detail {

namespace {

// Longer than the end of a process takes; and a program may join such a thread as it ends.
constexpr std::chrono::seconds patience{5};

std::atomic<int> calls{0};  ///< that have begun, and not ended
std::atomic<bool> is_ending{false};
std::atomic<std::thread::id> ending_thread;
std::atomic<void (*)()> finish_all;

/// At the end of the process: no call begins any more, and those that have are waited for.
void end() {
  ending_thread = std::this_thread::get_id();
  is_ending = true;
  while (calls > 0) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  finish_all.load()();
}

}  // namespace

DriverCall::DriverCall(std::nothrow_t /*does_not_throw*/) noexcept {
  ++calls;  // before it asks: end() either sees this call, or is seen by it
  has_begun_ = !is_ending;
  if (!has_begun_) {
    --calls;
  }
}

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
    --calls;
  }
}

void finish_at_exit(void (*finish)()) {
  finish_all = finish;
  if (std::atexit(&end) != 0) {
    throw std::bad_alloc();
  }
}

}  // namespace halnorm::detail
