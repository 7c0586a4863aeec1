#include "thread_team.h"

#include <stdexcept>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace halnorm::bench {
namespace {

constexpr int spins_before_sleep = 20000;

void relax() {
#if defined(__SSE2__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

ThreadTeam::ThreadTeam(int threads) {
  if (threads < 1) throw std::invalid_argument("ThreadTeam: needs at least one thread");
  for (int member = 1; member < threads; ++member) {
    members_.emplace_back([this, member] { serve(member); });
  }
}

ThreadTeam::~ThreadTeam() {
  stopping_ = true;
  ++round_;
  round_.notify_all();
}

void ThreadTeam::run(const std::function<void(int)>& task) {
  task_ = &task;
  running_.store(static_cast<int>(members_.size()), std::memory_order_relaxed);
  if (!members_.empty()) {
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  }
  task(0);
  for (int spin = 0; spin < spins_before_sleep; ++spin) {
    if (running_.load(std::memory_order_acquire) == 0) return;
    relax();
  }
  for (int left = running_; left != 0; left = running_) running_.wait(left);
}

void ThreadTeam::serve(int member) {
  std::uint32_t seen = 0;
  while (true) {
    for (int spin = 0; spin < spins_before_sleep; ++spin) {
      if (round_.load(std::memory_order_acquire) != seen) break;
      relax();
    }
    round_.wait(seen, std::memory_order_acquire);
    ++seen;
    if (stopping_) return;
    (*task_)(member);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_one();
  }
}

}  // namespace halnorm::bench
