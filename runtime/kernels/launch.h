#pragma once

#include <array>
#include <cstdint>
#include <exception>

namespace halnorm::detail {

struct Kernel;

/// How a loop goes through its tasks.
enum class Walk : std::uint8_t {
  forwards,      ///< each thread through a range of its own
  backwards,     ///< likewise, from the range's end
  side_by_side,  ///< each task the next free thread's
};

/// What generated code cannot be given along: of the kernel that a thread runs, and of its latest.
/// Nothing may be allocated, and so thrown, where generated code calls. It has no destructor,
/// because to register one for a thread may fail.
struct Launch {
  const Kernel* last;  ///< the latest kernel, null before the first
  /// How the next loop goes. The one after it turns round: it finds in cache what the first left
  /// there, and that is the end of each range.
  Walk next_walk;
  bool in_task;                   ///< of parallel_for(): loops within it stay on this thread
  std::exception_ptr* thrown;     ///< where to put what the host's parallel-for throws; may be null
  std::array<char, 512> message;  ///< why the kernel failed, cut off where it does not fit
};

/// This thread's.
Launch& launch() noexcept;

/// Keeps what the host's parallel-for throws on this thread while it lives.
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

}  // namespace halnorm::detail
