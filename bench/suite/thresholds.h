#pragma once

namespace halnorm::bench {

/// For ./dev tune: sets the thresholds of plans that HALNORM_BENCH_THRESHOLDS names, and adds all
/// to the context of the benchmark. Returns false, with the message on stderr, for others. A
/// process has one set: a call in turn with another would find the caches as the other left them.
bool take_thresholds() noexcept;

}  // namespace halnorm::bench
