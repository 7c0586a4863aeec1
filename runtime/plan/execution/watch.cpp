#include "plan/execution/watch.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "halnorm/call_report.h"

namespace halnorm::HALNORM_ABI {

namespace {

using Sink = std::function<void(const CallReport&)>;

enum class State : std::uint8_t { not_asked, silent, prints, has_sink };
std::atomic<State> state{State::not_asked};
std::atomic<const Sink*> sink{nullptr};

State environment_state() noexcept {
  const char* verbose = std::getenv("HALNORM_VERBOSE");
  return verbose != nullptr && std::string_view(verbose) == "1" ? State::prints : State::silent;
}

constexpr std::array<std::string_view, detail::layout_count> layout_names{"ncl", "nlc", "c"};

/// Prints in one write, so that lines of several threads stay whole. The caller sees no failure.
void print(const CallReport& r) {
  std::array<char, 32> time;
  std::snprintf(time.data(), time.size(), "%.1f", r.seconds * 1e6);
  const std::string line = "halnorm: " + std::string(r.function) + " " +
                           std::string(name_of(r.dtype)) + " " + std::string(r.layout) + " (" +
                           std::to_string(r.N) + ", " + std::to_string(r.C) + ", " +
                           std::to_string(r.L) + ") on " + r.device.str() + ", " + time.data() +
                           " us: " + std::string(r.plan) + "\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

namespace detail {

bool is_watched() noexcept {
  State now = state.load(std::memory_order_acquire);
  if (now == State::not_asked) {
    state.compare_exchange_strong(now, environment_state(), std::memory_order_acq_rel);
    now = state.load(std::memory_order_acquire);
  }
  return now >= State::prints;
}

void report(const char* function, const Plan& plan, const View& x, double seconds) noexcept {
  try {
    const std::string text = plan.str();
    const CallReport r{function,
                       x.dtype,
                       x.memory == nullptr ? Device::cpu() : x.memory->device(),
                       layout_names.at(static_cast<std::size_t>(x.layout)),
                       x.N,
                       x.C,
                       x.L,
                       text,
                       seconds};
    const Sink* to = sink.load(std::memory_order_acquire);
    to == nullptr ? print(r) : (*to)(r);
    // The operation has succeeded, and a failed report does not change that.
  } catch (...) {  // NOLINT(bugprone-empty-catch)
  }
}

}  // namespace detail

void set_call_sink(std::function<void(const CallReport&)> run) {
  std::unique_ptr<const Sink> next;
  if (run) {
    next = std::make_unique<const Sink>(std::move(run));
  }
  const State then = next ? State::has_sink : State::not_asked;
  next.reset(sink.exchange(next.release(), std::memory_order_acq_rel));
  state.store(then, std::memory_order_release);
}

}  // namespace halnorm::HALNORM_ABI
