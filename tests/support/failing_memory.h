#pragma once

/// @file
/// An allocator that fails when told to, and threads that do not start. Linked into a test program,
/// it replaces malloc() and its kin (under a sanitizer, which has its own, operator new alone),
/// pthread_create(), and the allocator of Halide's runtime.

namespace failing_memory {

enum class Mode : unsigned char {
  once,  ///< one allocation fails
  on,    ///< and so do all that come after it
};

/// While it lives, the nth allocation from now on fails, in whatever thread; the start of a thread
/// counts as one.
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

/// While it lives, no thread starts.
class NoThreads {
 public:
  NoThreads();
  ~NoThreads();
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;
};

}  // namespace failing_memory
