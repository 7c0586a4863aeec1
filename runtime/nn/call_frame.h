#pragma once

#include <cstddef>
#include <exception>
#include <string>

#include "nn/erased_modules.h"

namespace halnorm::nn {

class Module;

/// Within a catch block: throws the current exception on. One of the library's own goes on as the
/// same type with "<path>: " in front of its text.
[[noreturn]] void rethrow_with_path(const std::string& path);

/// One call of a module on this thread. The frames of a thread form a stack, from which an error
/// learns the path of the module it happened in; a call that succeeds pays for two pointer writes.
class CallFrame {
 public:
  /// Calls within calls; a level takes about 450 bytes of stack, and what forward itself needs.
  static constexpr std::size_t max_depth = 1000;

  /// @throws Error beyond the depth, rather than overflowing the stack.
  explicit CallFrame(const Module& module);
  ~CallFrame();
  CallFrame(const CallFrame&) = delete;
  CallFrame& operator=(const CallFrame&) = delete;

  /// Within a catch block: throws the current exception on. One of the library's own that has no
  /// path yet goes on as the same type with "<path>: " in front of its text.
  [[noreturn]] void rethrow();

 private:
  [[nodiscard]] std::string path() const;

  const Module& module_;
  CallFrame* caller_;
  /// The error on its way out of a call that this one made, if it begins with a path already. Not a
  /// thread_local: where there is no memory to register its destructor, the process is aborted.
  std::exception_ptr located_;
  std::size_t depth_;
  ErasedModules erased_;
};

}  // namespace halnorm::nn
