#include "plan/watch.h"

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "halnorm/call_report.h"

namespace halnorm {

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

void print(const CallReport& r) {
  std::fprintf(stderr, "halnorm: %.*s %s %.*s (%lld, %lld, %lld) on %s, %.1f us: %.*s\n",
               static_cast<int>(r.function.size()), r.function.data(), name_of(r.dtype).data(),
               static_cast<int>(r.layout.size()), r.layout.data(), static_cast<long long>(r.N),
               static_cast<long long>(r.C), static_cast<long long>(r.L), r.device.str().c_str(),
               r.seconds * 1e6, static_cast<int>(r.plan.size()), r.plan.data());
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
  } catch (...) {  // The operation is done, and a report is no reason to say otherwise.
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

}  // namespace halnorm
