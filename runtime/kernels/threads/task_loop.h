#pragma once

#include <HalideRuntime.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>

#include "base/float_mode.h"
#include "halnorm/threads.h"
#include "kernels/launch.h"

/// @file
/// The parallel loops of kernels, and the transfer of their errors to the thread of the call.

namespace halnorm::HALNORM_ABI::detail {

class TaskLoop {
 public:
  TaskLoop(halide_task_t task, void* context, int first, int count, std::uint8_t* closure) noexcept
      : task_(task), context_(context), first_(first), count_(count), closure_(closure) {}

  [[nodiscard]] int count() const noexcept { return count_; }
  /// Runs a task that the host chose. An index out of range or a second run is an error.
  void run_chosen(int index) noexcept;

  /// These run all tasks, and return 0 or the first error code. The message is then this thread's.
  int in_order() noexcept;
  int by_pool(int threads) noexcept;
  int by_host(const std::function<void(const ParallelLoop&)>& host) noexcept;

 private:
  using Marks = std::atomic<std::uint64_t>;

  template <class Take>
  int in_pool(int threads, Take take) noexcept;
  void run(int index) noexcept;
  int finish() noexcept;
  void fail(int code, const char* message, std::exception_ptr thrown = nullptr) noexcept;
  void refuse(const char* reason, int number) noexcept;

  halide_task_t task_;
  void* context_;
  int first_, count_;
  std::uint8_t* closure_;
  std::uint64_t mode_ = float_mode();
  Marks* chosen_ = nullptr;  ///< a bit per task that the host has chosen
  std::atomic<int> done_{0};
  std::atomic<int> code_{0};
  std::array<char, 512> message_;  ///< the message of the first task that failed
  std::exception_ptr thrown_;
};

}  // namespace halnorm::HALNORM_ABI::detail
