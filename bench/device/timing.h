#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <string_view>

#include "../suite/shapes.h"

namespace halnorm::bench {

/// Microseconds a call.
struct Times {
  double least, median, most;
};

/// `count` calls queued back to back, as an engine would, and waited for once.
template <class Call, class Wait>
double seconds_of(const Call& call, const Wait& wait, int count) {
  using Clock = std::chrono::steady_clock;
  wait();
  const auto start = Clock::now();
  for (int i = 0; i < count; ++i) {
    call();
  }
  wait();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Seven runs of 10 ms or one call, after one that compiles and fills pools of memory.
template <class Call, class Wait>
Times times_of(const Call& call, const Wait& wait) {
  constexpr double seconds_per_run = 0.01;
  seconds_of(call, wait, 3);
  const double once = seconds_of(call, wait, 3) / 3;
  const int count = std::clamp(static_cast<int>(seconds_per_run / once), 1, 10000);
  std::array<double, 7> all{};
  std::generate(all.begin(), all.end(),
                [&] { return seconds_of(call, wait, count) / count * 1e6; });
  std::sort(all.begin(), all.end());
  return {all.front(), all[all.size() / 2], all.back()};
}

/// A tensor that is measured, as the lines of JSON name it.
struct Batch {
  const BenchShape& shape;
  bool channels_last;
  std::string_view dtype;
  int bytes_of_element;

  [[nodiscard]] long long bytes() const {
    return static_cast<long long>(shape.numel()) * bytes_of_element;
  }
};

inline void print(const Batch& b, std::string_view peer, std::string_view operation,
                  const Times& t) {
  std::printf(
      "{\"peer\":\"%s\",\"shape\":\"%s\",\"layout\":\"%s\",\"dtype\":\"%s\",\"operation\":\"%s\","
      "\"us\":%.3f,\"least\":%.3f,\"most\":%.3f,\"bytes\":%lld}\n",
      std::string(peer).c_str(), b.shape.name().c_str(), b.channels_last ? "nlc" : "ncl",
      std::string(b.dtype).c_str(), std::string(operation).c_str(), t.median, t.least, t.most,
      b.bytes());
  std::fflush(stdout);
}

/// Shapes of the suite; `quick`: those that a slow device can do.
template <class Measure>
void for_each_batch(bool quick, const Measure& measure) {
  for (const BenchShape& s : shapes) {
    if (quick && (!s.quick || s.numel() > 2000000)) {
      continue;
    }
    if (s.rank == 3) {
      measure(s, false);
    }
    measure(s, true);
  }
}

}  // namespace halnorm::bench
