#pragma once

#include <cstddef>
#include <string>
#include <vector>

/// @file
/// A test double of the CUDA driver, for a machine without a GPU: its memory is the host's, kernels
/// do nothing, and it records its calls. A record has the context and the stream of a call, and
/// shows whether anything waits. It has two devices, of which the second is older than all kernels.

namespace standin {

/// A call of the driver's that allocates, frees, copies, launches or waits.
struct Call {
  std::string name;
  const void* context;  ///< the one that was current
  const void* stream;   ///< null also if the call takes none
};

/// Returns and clears the calls since the last time.
std::vector<Call> take_calls();

/// The next `count` allocations fail, as on a GPU without free memory.
void refuse_allocations(int count);

/// A context and a stream of an engine. They are never destroyed, so that no two are equal.
void* new_context();
void* new_stream();

}  // namespace standin
