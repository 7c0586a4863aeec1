#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace halnorm::bench {

/// A fixed team of threads, the caller included, that runs one task at a time with as little start
/// and stop as possible: the floor must not be slow for want of a good pool. Who waits spins first,
/// for some hundred microseconds, and then sleeps, so as not to disturb what is measured next.
class ThreadTeam {
 public:
  explicit ThreadTeam(int threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  [[nodiscard]] int size() const { return static_cast<int>(members_.size()) + 1; }

  /// Calls task(member) once on each member, 0 to size() - 1, and returns when all are done.
  void run(const std::function<void(int)>& task);

 private:
  void serve(int member);

  std::atomic<std::uint32_t> round_{0};
  std::atomic<int> running_{0};
  std::atomic<bool> stopping_{false};
  const std::function<void(int)>* task_ = nullptr;
  std::vector<std::jthread> members_;
};

}  // namespace halnorm::bench
