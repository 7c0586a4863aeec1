#pragma once

#include <cstddef>
#include <string>
#include <vector>

/// @file
/// A CUDA driver for a machine that has no GPU: its memory is the host's, kernels do nothing, and
/// what is asked of it is noted. It shows which context and which stream a call goes to, and
/// whether anything waits. It has two devices, of which the second is older than all kernels.

namespace standin {

/// A call of the driver's that allocates, frees, copies, launches or waits.
struct Call {
  std::string name;
  const void* context;  ///< the one that was current
  const void* stream;   ///< null also where the call takes none
};

/// What was called since the last time; from then on it is forgotten.
std::vector<Call> take_calls();

/// So many allocations to come are refused, as by a GPU whose memory is taken.
void refuse_allocations(int count);

/// A context and a stream, as an engine has them. Never destroyed, so that no two are equal.
void* new_context();
void* new_stream();

}  // namespace standin
