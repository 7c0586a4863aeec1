#pragma once

#include <HalideRuntime.h>

#include <array>
#include <atomic>
#include <exception>
#include <functional>

#include "halnorm/threads.h"
#include "task_ranges.h"

/// @file
/// The parallel loops of kernels, and how their failures reach the thread that made the call.

namespace halnorm::detail {

/// Why the latest kernel on this thread failed.
struct Failure {
  /// Halide's words, cut off where they do not fit: nothing may be allocated, and so thrown, where
  /// generated code calls.
  std::array<char, 512> message;
  std::exception_ptr thrown;  ///< by the host's parallel-for
};
Failure& thread_failure() noexcept;

/// Halide's error handler.
void keep_message(void* context, const char* text) noexcept;

/// How a loop goes through its tasks.
enum class Walk : std::uint8_t {
  forwards,      ///< each thread through a range of its own
  backwards,     ///< likewise, from the range's end
  side_by_side,  ///< each task the next free thread's
};

/// How the next loop of this thread goes. The one after it turns round: it finds in cache what the
/// first left there, and that is the end of each range.
void start_loops(Walk first) noexcept;

class TaskLoop {
 public:
  TaskLoop(halide_task_t task, void* context, int first, int count, std::uint8_t* closure) noexcept
      : task_(task), context_(context), first_(first), count_(count), closure_(closure) {}

  [[nodiscard]] int count() const noexcept { return count_; }
  void run(int index) noexcept;

  /// These run all tasks, and return 0 or the first error code. The failure is then this thread's.
  int in_order() noexcept;
  int by_halide(int threads) noexcept;
  int by_host(const std::function<void(const ParallelLoop&)>& host) noexcept;

 private:
  int in_pool(TaskRanges* ranges) noexcept;
  int finish() noexcept;
  void fail(int code) noexcept;

  halide_task_t task_;
  void* context_;
  int first_, count_;
  std::uint8_t* closure_;
  std::atomic<int> done_{0};
  std::atomic<int> code_{0};
  Failure failure_;  ///< of the first task that failed
};

}  // namespace halnorm::detail
