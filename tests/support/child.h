#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>

/// @file
/// Processes that a test forks to see how they end.

namespace child {

/// A signal ends a child after this number of seconds, because it hangs.
inline constexpr unsigned patience = 120;

/// Whether this process is a child.
inline bool is_one = false;

/// Forks a child that ends with what `body` returns, through exit(). Returns its process id.
inline pid_t start(const std::function<int()>& body) {
  std::fflush(nullptr);  // or the child would write this process's text too
  const pid_t id = ::fork();
  if (id == 0) {
    is_one = true;
    ::alarm(patience);
    std::exit(body());
  }
  return id;
}

/// Waits for the child, which must end by itself, with 0.
inline void expect_success(pid_t id) {
  int status = 0;
  ASSERT_EQ(::waitpid(id, &status, 0), id);
  EXPECT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  if (WIFEXITED(status)) {
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
}

inline void expect_success(const std::function<int()>& body) { expect_success(start(body)); }

/// A counter that processes share.
class Counter {
 public:
  Counter()
      : value_(new (::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0)) std::atomic<int>(0)) {}
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;
  ~Counter() { ::munmap(value_, sizeof(std::atomic<int>)); }

  std::atomic<int>& operator*() const { return *value_; }

 private:
  std::atomic<int>* value_;
};

}  // namespace child
