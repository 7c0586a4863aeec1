#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <limits>

namespace halnorm::bench {

using Clock = std::chrono::steady_clock;

/// A sample shorter than this is made of several calls, so that reading the clock does not count.
inline constexpr double shortest_sample = 20e-6;

template <class Call>
double seconds_of(Call& call, int repeats) {
  const auto start = Clock::now();
  for (int i = 0; i < repeats; ++i) call();
  benchmark::ClobberMemory();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// How many calls make a sample long enough; also warms caches, threads and branch predictors.
template <class Call>
int calls_per_sample(Call& call) {
  if (seconds_of(call, 1) > 50 * shortest_sample) return 1;
  int repeats = 1;
  while (repeats < (1 << 14) && seconds_of(call, repeats) < shortest_sample) repeats *= 2;
  return repeats;
}

/// Times `call` sample by sample and reports, beside Google Benchmark's mean, the fastest sample
/// as the counter `best_ns`: on a shared machine the mean measures the neighbours.
template <class Call>
void measure(benchmark::State& state, Call call) {
  const int repeats = calls_per_sample(call);
  double best = std::numeric_limits<double>::infinity();
  for ([[maybe_unused]] auto step : state) {
    const double seconds = seconds_of(call, repeats) / repeats;
    state.SetIterationTime(seconds);
    best = std::min(best, seconds);
  }
  state.counters["best_ns"] = best * 1e9;
}

}  // namespace halnorm::bench
