#include "task_loop.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

namespace halnorm {

namespace detail {

namespace {

thread_local Walk next_walk = Walk::forwards;

Walk take_walk() noexcept {
  const Walk walk = next_walk;
  next_walk = walk == Walk::forwards ? Walk::backwards : Walk::forwards;
  return walk;
}

}  // namespace

void start_loops(Walk first) noexcept { next_walk = first; }

Failure& thread_failure() noexcept {
  thread_local Failure failure{};
  return failure;
}

void keep_message(void*, const char* text) noexcept {
  auto& message = thread_failure().message;
  if (message.front() != '\0') {
    return;  // what failed first says more than those that relied on it
  }
  const std::string_view all(text);
  const std::size_t kept = all.copy(message.data(), message.size() - 1);
  message[kept] = '\0';
}

void TaskLoop::run(int index) noexcept {
  if (code_.load(std::memory_order_relaxed) == 0) {
    const int code = task_(context_, first_ + index, closure_);
    if (code != 0) {
      fail(code);
    }
  }
  done_.fetch_add(1, std::memory_order_release);
}

/// Takes the failure from the thread that ran the task, unless another was first.
void TaskLoop::fail(int code) noexcept {
  std::exception_ptr thrown = std::exchange(thread_failure().thrown, nullptr);
  const auto message = std::exchange(thread_failure().message, {});
  int none = 0;
  if (code_.compare_exchange_strong(none, code)) {
    failure_.message = message;
    failure_.thrown = std::move(thrown);
  }
}

/// Gives the failure to the thread that waited for the tasks.
int TaskLoop::finish() noexcept {
  if (done_.load(std::memory_order_acquire) != count_ && code_.load() == 0) {
    keep_message(context_, "the parallel-for has not run every task once");
    fail(halide_error_code_generic_error);
  }
  const int code = code_.load();
  if (code != 0) {
    thread_failure().message = failure_.message;
    thread_failure().thrown = std::exchange(failure_.thrown, nullptr);
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

int TaskLoop::by_halide(int threads) noexcept {
  const Walk walk = take_walk();
  if (walk == Walk::side_by_side) {
    return in_pool(nullptr);
  }
  TaskRanges ranges(count_, threads, walk == Walk::backwards);
  return in_pool(&ranges);
}

/// The pool counts the tasks up; which one it is may be another's choice.
int TaskLoop::in_pool(TaskRanges* ranges) noexcept {
  std::pair<TaskLoop*, TaskRanges*> both{this, ranges};
  const auto run_one = [](void*, int index,
                          std::uint8_t* closure) {  // NOLINT(readability-non-const-parameter)
    const auto& [self, tasks] = *reinterpret_cast<std::pair<TaskLoop*, TaskRanges*>*>(closure);
    self->run(tasks == nullptr ? index : tasks->take());
    return self->code_.load(std::memory_order_relaxed);
  };
  const int code = halide_default_do_par_for(context_, run_one, 0, count_,
                                             reinterpret_cast<std::uint8_t*>(&both));
  if (code != 0) {
    fail(code);
  }
  return finish();
}

int TaskLoop::by_host(const std::function<void(const ParallelLoop&)>& host) noexcept {
  try {
    host(ParallelLoop(*this));
  } catch (...) {
    keep_message(context_, "the parallel-for has thrown");
    thread_failure().thrown = std::current_exception();
    fail(halide_error_code_generic_error);
  }
  return finish();
}

}  // namespace detail

int ParallelLoop::count() const noexcept { return loop_.count(); }

void ParallelLoop::run(int index) const noexcept { loop_.run(index); }

}  // namespace halnorm
