#pragma once

/// @file
/// An allocator that fails when told to, and threads that do not start. Linked into a test program,
/// it replaces malloc() and related functions (under a sanitizer only operator new, because
/// sanitizers replace malloc()), pthread_create(), and the allocator of Halide's runtime.

namespace failing_memory {

enum class Mode : unsigned char {
  once,  ///< one allocation fails
  on,    ///< and so do all that come after it
};

/// During its lifetime the nth allocation fails, in any thread; the start of a thread counts as
/// one.
class From {
 public:
  From(int nth, Mode mode);
  ~From();
  From(const From&) = delete;
  From& operator=(const From&) = delete;
};

/// During its lifetime every allocation of a kernel fails, and no other.
class InKernels {
 public:
  InKernels();
  ~InKernels();
  InKernels(const InKernels&) = delete;
  InKernels& operator=(const InKernels&) = delete;
};

/// During its lifetime no thread starts.
class NoThreads {
 public:
  NoThreads();
  ~NoThreads();
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;
};

}  // namespace failing_memory
