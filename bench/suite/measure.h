#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <vector>

namespace halnorm::bench {

/// A sample shorter than this is made of several calls, so that reading the clock does not count.
inline constexpr double shortest_sample = 20e-6;

/// Fewest samples of which the best is taken, even if one alone fills the time.
inline constexpr int fewest_samples = 3;

/// The seconds of a sample: so many calls, one after the other.
template <class Call>
double seconds_of(const Call& call, int count) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < count; ++i) call();
  benchmark::ClobberMemory();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// How many calls make a sample. Finding that also warms caches, threads and branch predictors.
template <class Call>
int calls_of_sample(const Call& call) {
  int count = 1;
  if (seconds_of(call, 1) > 50 * shortest_sample) return count;
  while (count < (1 << 14) && seconds_of(call, count) < shortest_sample) count *= 2;
  return count;
}

/// Times several calls, a sample of each in turn; returns the ns of each one's fastest sample.
/// `loop` gets a function that takes a sample of each and returns their seconds, and calls it for
/// as long as it wants to measure.
template <class Call, class Loop>
std::vector<double> best_in_turn(const std::vector<Call>& calls, const Loop& loop) {
  std::vector<int> counts;
  for (const Call& call : calls) counts.push_back(calls_of_sample(call));
  std::vector<double> best(calls.size(), std::numeric_limits<double>::infinity());
  int samples = 0;
  const auto sample_all = [&] {
    double sum = 0;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const double seconds = seconds_of(calls[i], counts[i]);
      best[i] = std::min(best[i], seconds / counts[i] * 1e9);
      sum += seconds;
    }
    ++samples;
    return sum;
  };
  loop(sample_all);
  while (samples < fewest_samples) sample_all();
  return best;
}

/// The same in a benchmark. Google Benchmark is told the time of whole samples, so that it ends in
/// time: on a shared machine its mean measures the other work.
template <class Call>
std::vector<double> best_in_turn(benchmark::State& state, const std::vector<Call>& calls) {
  return best_in_turn(calls, [&state](const auto& sample_all) {
    for ([[maybe_unused]] auto step : state) state.SetIterationTime(sample_all());
  });
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
