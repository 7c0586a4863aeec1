#pragma once

#include <new>
#include <stdexcept>
#include <string>

/// @file
/// Every error the library reports. Each message names the function (or the module's path), what it
/// got and what it wanted. A call of a function or of one layer that throws has changed nothing;
/// docs/module.md says what containers and throwing hooks leave. The process is never aborted.

#pragma GCC visibility push(default)

namespace halnorm {

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

/// A dtype that the operation does not accept, or a pair of dtypes that do not go together.
class DTypeError : public Error {
 public:
  using Error::Error;
};

/// Tensors on the wrong device, or a device that is not there.
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

/// A generated kernel reported an error, or no kernel fits.
class KernelError : public Error {
 public:
  using Error::Error;
};

/// A rank of a global call failed, or could not be reached: docs/distributed.md. The message names
/// the rank and the operation.
class CommunicationError : public Error {
 public:
  using Error::Error;
};

/// A tensor did not get its memory; the message says how much. This is a std::bad_alloc and no
/// Error, so that a program handles all lack of memory in one place.
class MemoryError : public std::bad_alloc {
 public:
  explicit MemoryError(const std::string& message) : message_(message) {}
  [[nodiscard]] const char* what() const noexcept override { return message_.what(); }

 private:
  std::runtime_error message_;  ///< copying it cannot fail
};

}  // namespace halnorm

#pragma GCC visibility pop
