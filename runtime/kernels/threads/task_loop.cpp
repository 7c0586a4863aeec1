#include "kernels/threads/task_loop.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <utility>

#include "kernels/memory/workspace.h"
#include "kernels/threads/thread_pool.h"
#include "kernels/threads/work_ranges.h"

namespace halnorm::HALNORM_ABI {

namespace detail {

namespace {

Walk take_walk() noexcept {
  Launch& own = launch();
  const Walk walk = own.next_walk;
  own.next_walk = walk == Walk::forwards ? Walk::backwards : Walk::forwards;
  return walk;
}

}  // namespace

/// Records the failure of a task, unless another task failed earlier.
void TaskLoop::fail(int code, const char* message, std::exception_ptr thrown) noexcept {
  int none = 0;
  if (code_.compare_exchange_strong(none, code)) {
    std::snprintf(message_.data(), message_.size(), "%s", message);
    thrown_ = std::move(thrown);
  }
}

/// `reason` is a format for `number` and the number of tasks.
void TaskLoop::refuse(const char* reason, int number) noexcept {
  std::array<char, 128> text;
  std::snprintf(text.data(), text.size(), reason, number, count_);
  fail(halide_error_code_generic_error, text.data());
}

void TaskLoop::run(int index) noexcept {
  const InFloatMode mode(mode_);
  KeepThrown keep;
  const int code = task_(context_, first_ + index, closure_);
  if (code != 0) {
    fail(code, launch().message.data(), std::move(keep.thrown));
    forget_message();
  }
}

/// Transfers the failure to the thread that waited for the tasks.
int TaskLoop::finish() noexcept {
  const int code = code_.load();
  if (code != 0) {
    Launch& own = launch();
    own.message = message_;
    if (own.thrown != nullptr) {
      *own.thrown = std::move(thrown_);
    }
  }
  return code;
}

int TaskLoop::in_order() noexcept {
  const bool backwards = take_walk() == Walk::backwards;
  int code = 0;
  for (int i = 0; i < count_ && code == 0; ++i) {
    code = task_(context_, first_ + (backwards ? count_ - 1 - i : i), closure_);
  }
  return code;
}

/// take() returns the next task for the calling thread, or a negative number.
template <class Take>
int TaskLoop::in_pool(int threads, Take take) noexcept {
  auto work = [this, &take] {
    int index = 0;
    while (code_.load(std::memory_order_relaxed) == 0 && (index = take()) >= 0) {
      run(index);
    }
  };
  const int error = work_together(
      std::min(threads, count_) - 1,
      [](void* argument) { (*static_cast<decltype(work)*>(argument))(); }, &work);
  if (error != 0) {
    refuse(
        "error %d of the system, no thread can be started for %d tasks: set_num_threads(1) "
        "needs none",
        error);
  }
  return finish();
}

int TaskLoop::by_pool(int threads) noexcept {
  const Walk walk = take_walk();
  if (walk == Walk::side_by_side) {
    std::atomic<int> next{0};
    return in_pool(threads, [&next, this] {
      const int index = next.fetch_add(1, std::memory_order_relaxed);
      return index < count_ ? index : -1;
    });
  }
  TaskRanges ranges(count_, threads, walk == Walk::backwards);
  return in_pool(threads, [&ranges] { return ranges.take(); });
}

void TaskLoop::run_chosen(int index) noexcept {
  if (index < 0 || index >= count_) {
    refuse("the parallel-for has run task %d, wanted one from 0 to below %d", index);
    return;
  }
  constexpr unsigned bits = 64;
  const auto place = static_cast<unsigned>(index);
  const std::uint64_t bit = std::uint64_t{1} << place % bits;
  if ((chosen_[place / bits].fetch_or(bit, std::memory_order_relaxed) & bit) != 0) {
    refuse("the parallel-for has run task %d of %d twice", index);
    return;
  }
  if (code_.load(std::memory_order_relaxed) == 0) {
    run(index);
  }
  done_.fetch_add(1, std::memory_order_release);
}

int TaskLoop::by_host(const std::function<void(const ParallelLoop&)>& host) noexcept {
  const std::size_t words = (static_cast<std::size_t>(count_) + 63) / 64;
  const LentMemory memory(take_memory(words * sizeof(Marks)));
  if (!memory) {
    refuse("Out of memory (%d words to mark %d tasks)", static_cast<int>(words));
    return finish();
  }
  chosen_ = static_cast<Marks*>(memory.get());
  std::uninitialized_value_construct_n(chosen_, words);
  try {
    host(ParallelLoop(*this));
  } catch (...) {
    refuse("the parallel-for has thrown after %d of %d tasks", done_.load());
    thrown_ = std::current_exception();  // rethrown, even if a task failed first
  }
  if (const int done = done_.load(std::memory_order_acquire); done != count_) {
    refuse("the parallel-for has not run every task once, only %d of %d", done);
  }
  return finish();
}

}  // namespace detail

int ParallelLoop::count() const noexcept { return loop_.count(); }

void ParallelLoop::run(int index) const noexcept { loop_.run_chosen(index); }

}  // namespace halnorm::HALNORM_ABI
