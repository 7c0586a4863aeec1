#pragma once

/// @file
/// An allocator that fails when told to: operator new, and the one of Halide's runtime. Linked into
/// a test program, it replaces both.

namespace failing_memory {

enum class Mode : unsigned char {
  once,  ///< one allocation fails
  on,    ///< and so do all that come after it
};

/// While it lives, the nth allocation from now on fails, in whatever thread.
class From {
 public:
  From(int nth, Mode mode);
  ~From();
  From(const From&) = delete;
  From& operator=(const From&) = delete;
};

/// While it lives, every allocation of a kernel fails, and no other.
class InKernels {
 public:
  InKernels();
  ~InKernels();
  InKernels(const InKernels&) = delete;
  InKernels& operator=(const InKernels&) = delete;
};

}  // namespace failing_memory
