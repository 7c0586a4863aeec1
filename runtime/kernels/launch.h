#pragma once

#include <array>
#include <cstdint>
#include <exception>
#include <string>

#include "halnorm/version.h"

namespace halnorm::HALNORM_ABI::detail {

struct Kernel;

/// The order in which a loop runs its tasks.
enum class Walk : std::uint8_t {
  forwards,      ///< each thread runs a range of its own, from the first task on
  backwards,     ///< each thread runs a range of its own, from the last task on
  side_by_side,  ///< each task goes to the next free thread
};

/// The state of a thread's kernel, which generated code cannot pass to the functions that it calls.
/// These must not throw, so that nothing here allocates. Launch has no destructor, because its
/// registration for a thread may fail.
struct Launch {
  const Kernel* last;  ///< the latest kernel, null before the first
  /// The order of the next loop. The loop after it has the opposite order: the end of each range is
  /// then still in cache.
  Walk next_walk;
  bool in_task;  ///< the thread runs a task of parallel_for(); its loops use no others
  std::exception_ptr* thrown;  ///< receives the exception of the host's parallel-for; may be null
  std::array<char, 512> message;  ///< why the kernel failed; a long message is cut off
};

/// The Launch of the calling thread.
Launch& launch() noexcept;

/// Halide's error handler. Keeps the first message on this thread.
void keep_message(void* context, const char* text) noexcept;

/// Returns and clears the message.
std::string take_message();
void forget_message() noexcept;

/// Rethrows the exception of the host's parallel-for, or throws KernelError with the message.
[[noreturn]] void throw_failure(const std::exception_ptr& thrown, const std::string& what,
                                int code);

/// Receives the exception of the host's parallel-for on this thread, during its lifetime.
class KeepThrown {
 public:
  KeepThrown() noexcept : outer_(launch().thrown) { launch().thrown = &thrown; }
  KeepThrown(const KeepThrown&) = delete;
  KeepThrown& operator=(const KeepThrown&) = delete;
  ~KeepThrown() { launch().thrown = outer_; }

  std::exception_ptr thrown;

 private:
  std::exception_ptr* outer_;
};

}  // namespace halnorm::HALNORM_ABI::detail
