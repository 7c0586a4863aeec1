#pragma once

#include "halnorm/halnorm_c.h"
#include "halnorm/version.h"

/// @file
/// The boundary between C and C++: no exception crosses it.

namespace halnorm::HALNORM_ABI::c_api {

class Borrowed;

/// One call of a C function: the names that its error message uses.
struct Call {
  const char* function;
  const char* output = "y";         ///< C's name of the argument that C++ calls `out`
  const char* factor = "momentum";  ///< C's name of the argument that C++ calls `factor`
  const char* argument = nullptr;   ///< the tensor that was checked last
  Borrowed* tensors = nullptr;      ///< the tensors of its arguments
};

/// The status for the exception that is being handled. Its message becomes this thread's last
/// error. The buffer of messages has a fixed size, because a thread_local with a destructor may
/// abort the process.
[[gnu::cold]] halnorm_status report(const Call& call) noexcept;

template <class Body>
halnorm_status guarded(const Call& call, Body body) noexcept {
  try {
    body();
    return HALNORM_OK;
  } catch (...) {
    return report(call);
  }
}

}  // namespace halnorm::HALNORM_ABI::c_api
