#include "task_loop.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

namespace halnorm {

namespace detail {

Failure& thread_failure() noexcept {
  thread_local Failure failure{};
  return failure;
}

void keep_message(void*, const char* text) noexcept {
  auto& message = thread_failure().message;
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
  int none = 0;
  if (code_.compare_exchange_strong(none, code)) {
    failure_.message = thread_failure().message;
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
  int code = 0;
  for (int i = first_; i < first_ + count_ && code == 0; ++i) {
    code = task_(context_, i, closure_);
  }
  return code;
}

int TaskLoop::by_halide() noexcept {
  const auto run_one = [](void*, int index, std::uint8_t* loop) {
    auto* self = reinterpret_cast<TaskLoop*>(loop);
    self->run(index);
    return self->code_.load(std::memory_order_relaxed);
  };
  const int code = halide_default_do_par_for(context_, run_one, 0, count_,
                                             reinterpret_cast<std::uint8_t*>(this));
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
