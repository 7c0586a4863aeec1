#pragma once

#include <cstddef>
#include <exception>
#include <string>

#include "nn/module/erased_modules.h"

namespace halnorm::HALNORM_ABI::nn {

/// To be called in a catch block: rethrows the current exception. An exception of the library keeps
/// its type and gets "<path>: " before its message.
[[noreturn]] void rethrow_with_path(const std::string& path);

/// One call of a module on this thread. The frames of a thread form a stack, which gives an error
/// the path of its module. A call that succeeds costs two pointer writes.
class CallFrame {
 public:
  /// The depth of nested calls; a level takes about 450 bytes of stack, and the stack of forward.
  static constexpr std::size_t max_depth = 1000;

  /// @throws Error beyond the depth, so that the stack does not overflow.
  explicit CallFrame(const Module& module);
  ~CallFrame();
  CallFrame(const CallFrame&) = delete;
  CallFrame& operator=(const CallFrame&) = delete;

  /// To be called in a catch block: rethrows the current exception. An exception of the library
  /// that has no path keeps its type and gets "<path>: " before its message.
  [[noreturn]] void rethrow();

 private:
  [[nodiscard]] std::string path() const;

  const Module& module_;
  CallFrame* caller_;
  /// The error of a call that this one made, if its message begins with a path. It is not a
  /// thread_local, because the registration of a destructor aborts the process if memory runs out.
  std::exception_ptr located_;
  std::size_t depth_;
  ErasedModules erased_;
};

}  // namespace halnorm::HALNORM_ABI::nn
