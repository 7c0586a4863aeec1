#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>
#include <vector>

namespace halnorm::bench {

/// A sample shorter than this is made of several calls, so that reading the clock does not count.
inline constexpr double shortest_sample = 20e-6;

/// Fewest samples of which the best is taken, also where one alone fills the time.
inline constexpr int fewest_samples = 3;

/// Times one call, sample by sample, and keeps the fastest.
template <class Call>
class Sampler {
 public:
  /// Finds how many calls make a sample; that also warms caches, threads and branch predictors.
  explicit Sampler(Call call) : call_(std::move(call)) {
    if (run() > 50 * shortest_sample) return;
    while (repeats_ < (1 << 14) && run() < shortest_sample) repeats_ *= 2;
  }

  /// Runs one sample and returns its seconds.
  double sample() {
    const double seconds = run();
    best_ = std::min(best_, seconds / repeats_);
    ++samples_;
    return seconds;
  }

  [[nodiscard]] double best_ns() const { return best_ * 1e9; }  ///< of one call
  [[nodiscard]] int samples() const { return samples_; }

 private:
  double run() {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < repeats_; ++i) call_();
    benchmark::ClobberMemory();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  Call call_;
  int repeats_ = 1;
  int samples_ = 0;
  double best_ = std::numeric_limits<double>::infinity();
};

/// Times several calls, a sample of each in turn; returns the ns of each one's fastest sample.
/// Google Benchmark is told the time of whole samples, so that it ends in time: on a shared machine
/// its mean measures the other work.
template <class Call>
std::vector<double> best_in_turn(benchmark::State& state, const std::vector<Call>& calls) {
  std::vector<Sampler<Call>> samplers(calls.begin(), calls.end());
  const auto sample_all = [&samplers] {
    double seconds = 0;
    for (auto& sampler : samplers) seconds += sampler.sample();
    return seconds;
  };
  for ([[maybe_unused]] auto step : state) state.SetIterationTime(sample_all());
  while (samplers.front().samples() < fewest_samples) sample_all();
  std::vector<double> best;
  for (const auto& sampler : samplers) best.push_back(sampler.best_ns());
  return best;
}

/// Times one call; the figure is the counter `best_ns`.
template <class Call>
void measure(benchmark::State& state, const Call& call) {
  state.counters.insert_or_assign("best_ns", best_in_turn(state, std::vector<Call>{call}).front());
}

/// Times calls that are queued back to back on a device, as an engine would, and waited for once.
template <class Call, class Wait>
void measure_queued(benchmark::State& state, const Call& call, const Wait& wait) {
  call();  // compiles kernels and fills pools of memory
  wait();
  const auto start = std::chrono::steady_clock::now();
  for ([[maybe_unused]] auto step : state) call();
  wait();
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  state.SetIterationTime(spent.count());
}

}  // namespace halnorm::bench
