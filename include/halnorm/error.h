#pragma once

#include <new>
#include <stdexcept>
#include <string>

#include "halnorm/version.h"

/// @file
/// The exceptions of the library. Each message names the function (or the module's path), the value
/// it got and the value it wanted. If a function or a single layer throws, it has changed nothing,
/// except that `out` may hold any values if a kernel fails or memory runs out within the call.
/// docs/module.md lists the state that containers and throwing hooks leave.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI {

/// Base of all halnorm exceptions.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A wrong rank, extent, channel count, or overlapping memory.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// A dtype that the operation does not accept, or two dtypes that it does not accept together.
class DTypeError : public Error {
 public:
  using Error::Error;
};

/// A tensor on the wrong device, or a device that does not exist or cannot be used.
class DeviceError : public Error {
 public:
  using Error::Error;
};

/// An argument of the right type with a value that is not allowed (eps < 0, one value per channel
/// in training, an undefined tensor, an unknown name).
class ValueError : public Error {
 public:
  using Error::Error;
};

/// A file or a state dictionary that cannot be loaded.
class LoadError : public Error {
 public:
  using Error::Error;
};

/// A generated kernel reported an error, or this build has no kernel for the call.
class KernelError : public Error {
 public:
  using Error::Error;
};

/// A rank failed during a call on global tensors, or could not be reached. The message names the
/// rank and the operation. See docs/distributed.md.
class CommunicationError : public Error {
 public:
  using Error::Error;
};

/// The memory for a tensor could not be allocated; the message names the size. The class derives
/// from std::bad_alloc and not from Error, so that one handler covers every failed allocation.
class MemoryError : public std::bad_alloc {
 public:
  /// An error with this text.
  explicit MemoryError(const std::string& message) : message_(message) {}
  /// The message.
  [[nodiscard]] const char* what() const noexcept override { return message_.what(); }

 private:
  std::runtime_error message_;  ///< copying it cannot fail
};

}  // namespace halnorm::HALNORM_ABI

#pragma GCC visibility pop
