#include "plan/machine.h"

#include <algorithm>
#include <atomic>
#include <string>

#include "base/lazy.h"
#include "halnorm/error.h"
#include "halnorm/kernels.h"
#include "kernels/cpu_features.h"

namespace halnorm::HALNORM_ABI {

namespace detail {

namespace {

constexpr std::int64_t never = std::int64_t{1} << 62;
constexpr std::int64_t not_set = 0;

// With 480 MB of cache that many cores share 64 MB were best (an Intel Xeon). With 32 MB, on (64,
// 64, 1250) of 41 MB touched, training took 0.35 of the time of 64 MB in NCL and 0.53 in NLC,
// inference 0.29 and 0.45 (a Zen 3, 2 threads).
constexpr std::int64_t most_by_default = std::int64_t{64} << 20;

// The cache of an Intel server, which many cores share over a mesh, is no faster than memory for
// one of them: a copy reached 23 GB/s in both. With 16 MB instead of 64 MB, inference took 0.77 of
// the time on (63, 65, 1249) and 0.81 on (32, 512, 300), fused inference 0.73 and 0.78, the second
// half of backward 0.80 on (8192, 256). But kernels that sum and write took up to 1.25 of the time,
// (64, 256, 157), and sums with prefetches 1.05 to 1.48, because their x is in that cache (an Intel
// Xeon with 300 MB, 1 thread).
constexpr std::int64_t slow_cache = std::int64_t{64} << 20;
constexpr std::int64_t most_of_passes = std::int64_t{16} << 20;

// From half of a Zen 3's 32 MB on, the passes took these shares of the time, geometric means of six
// shapes of 6 to 13 MB, 1 and 2 threads: inference NCL 1.08 and 0.98, NLC 0.82 and 0.87; NLC
// training 0.87 and 1.01, backward 0.79 and 0.87. Training in NCL would take 0.93 and 1.15, and
// with 12 MB inference on 2 threads up to 2.1. A Zen 4, whose vectors are lines, gains from its 32
// MB on.
constexpr std::int64_t kept_part = 2;

struct Host {
  bool follows_rows = is_amd();
  Thresholds thresholds = thresholds_for(follows_rows, cpu_runs("avx512"), last_level_cache());

  Host() noexcept {
#define HALNORM_THRESHOLD(name, value) thresholds.name = value;
#include "halnorm_thresholds.inc"
#undef HALNORM_THRESHOLD
  }
};

const Host& host() {
  static constinit Lazy<Host> host;
  return host.get();
}

/// Of set_thresholds() and of set_streaming_threshold().
std::atomic<const Thresholds*> given{nullptr};
std::atomic<std::int64_t> nontemporal_bytes{not_set};

}  // namespace

Thresholds thresholds_for(bool follows_rows, bool in_lines, std::int64_t cache) noexcept {
  const std::int64_t bytes = cache == 0 ? most_by_default : std::min(cache, most_by_default);
  const bool is_slow = !follows_rows && cache > slow_cache;
  Thresholds thresholds;
  thresholds.nontemporal_bytes = bytes;
  thresholds.nontemporal_bytes_of_passes = is_slow                     ? most_of_passes
                                           : follows_rows && !in_lines ? bytes / kept_part
                                                                       : bytes;
  return thresholds;
}

Machine machine_of(const View& x) {
  const DeviceType where = x.memory == nullptr ? DeviceType::CPU : x.memory->device().type;
  const Host& here = host();
  const Thresholds* set = given.load(std::memory_order_acquire);
  Machine machine{target_of(where), here.follows_rows, set == nullptr ? here.thresholds : *set};
  const std::int64_t bytes = nontemporal_bytes.load(std::memory_order_relaxed);
  if (bytes != not_set) {
    machine.thresholds.nontemporal_bytes = bytes;
    machine.thresholds.nontemporal_bytes_of_passes = bytes;
  }
  return machine;
}

void set_thresholds(const Thresholds* thresholds) noexcept {
  given.store(thresholds, std::memory_order_release);
}

}  // namespace detail

void set_streaming_threshold(std::int64_t bytes) {
  if (bytes == default_streaming_threshold) {
    detail::nontemporal_bytes.store(detail::not_set, std::memory_order_relaxed);
    return;
  }
  if (bytes < 0) {
    throw ValueError("set_streaming_threshold: got " + std::to_string(bytes) +
                     ", wanted at least 0 bytes");
  }
  detail::nontemporal_bytes.store(bytes == 0 ? detail::never : bytes, std::memory_order_relaxed);
}

}  // namespace halnorm::HALNORM_ABI
