#include "kernels/process.h"

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>

#include "kernels/memory/block_cache.h"
#include "kernels/memory/workspace.h"
#include "kernels/threads/thread_pool.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

// The handlers of fork() lock a fixed number of mutexes, which all ForkMutexes share.
struct alignas(64) Stripe {
  std::mutex mutex;
};
constinit std::array<Stripe, 16> stripes;

std::mutex& mutex_of(const void* object) noexcept {
  return stripes[(reinterpret_cast<std::uintptr_t>(object) / 64) % stripes.size()].mutex;
}

void before_fork() {
  for (Stripe& stripe : stripes) {
    stripe.mutex.lock();
  }
  lock_pool();
}

void after_fork() {
  unlock_pool();
  for (Stripe& stripe : stripes) {
    stripe.mutex.unlock();
  }
}

void after_fork_in_child() {
  forget_pool_threads();
  after_fork();
}

constinit std::atomic<bool> prepared{false};

/// An object that exists while the library is loaded.
struct Loaded {
  Loaded() noexcept {
    prepare_for_forks();
    start_keeping_memory();
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  ~Loaded() {
    end_pool();  // the threads free their kept blocks
    stop_keeping_memory();
    stop_keeping_blocks();
  }
};
const Loaded loaded;

}  // namespace

void ForkMutex::lock() noexcept { mutex_of(this).lock(); }

void ForkMutex::unlock() noexcept { mutex_of(this).unlock(); }

bool prepare_for_forks() noexcept {
  if (!prepared.load(std::memory_order_relaxed) && !prepared.exchange(true)) {
    prepared = pthread_atfork(&before_fork, &after_fork, &after_fork_in_child) == 0;
  }
  return prepared.load(std::memory_order_relaxed);
}

}  // namespace halnorm::HALNORM_ABI::detail
