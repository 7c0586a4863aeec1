#include <array>
#include <string>

#include "c_api/status.h"
#include "halnorm/kernels.h"
#include "halnorm/memory.h"
#include "halnorm/threads.h"
#include "halnorm/version.h"

static_assert(HALNORM_DEFAULT_STREAMING_THRESHOLD == halnorm::default_streaming_threshold);

using halnorm::c_api::guarded;

namespace {

/// A list of targets and the name of a kernel are shorter.
using Text = std::array<char, 256>;

/// The text that `make` returns, in a buffer of the thread's; "" if memory runs out.
template <class Make>
const char* kept(Text& buffer, Make make) noexcept {
  buffer[0] = '\0';
  try {
    const auto text = make();
    buffer[text.copy(buffer.data(), buffer.size() - 1)] = '\0';
  } catch (...) {
    buffer[0] = '\0';
  }
  return buffer.data();
}

#define HALNORM_TEXT(number) #number
#define HALNORM_VERSION_TEXT(major, minor, patch) \
  HALNORM_TEXT(major) "." HALNORM_TEXT(minor) "." HALNORM_TEXT(patch)

}  // namespace

const char* halnorm_version(void) {
  return HALNORM_VERSION_TEXT(HALNORM_VERSION_MAJOR, HALNORM_VERSION_MINOR, HALNORM_VERSION_PATCH);
}

halnorm_status halnorm_set_num_threads(int threads) {
  return guarded({.function = __func__}, [&] { halnorm::set_num_threads(threads); });
}

int halnorm_get_num_threads(void) { return halnorm::get_num_threads(); }

halnorm_status halnorm_force_target(const char* target) {
  return guarded({.function = __func__},
                 [&] { halnorm::force_target(target == nullptr ? "" : target); });
}

const char* halnorm_targets(void) {
  static thread_local constinit Text text{};
  return kept(text, [] {
    std::string names;
    for (const std::string& target : halnorm::targets()) {
      names += (names.empty() ? "" : ",") + target;
    }
    return names;
  });
}

const char* halnorm_last_kernel(void) {
  static thread_local constinit Text text{};
  return kept(text, [] { return halnorm::last_kernel(); });
}

halnorm_status halnorm_set_streaming_threshold(int64_t bytes) {
  return guarded({.function = __func__}, [&] { halnorm::set_streaming_threshold(bytes); });
}

halnorm_status halnorm_set_cache_limit(int64_t bytes) {
  return guarded({.function = __func__}, [&] { halnorm::set_cache_limit(bytes); });
}

void halnorm_empty_cache(void) { halnorm::empty_cache(); }

halnorm_status halnorm_set_parallel_for(halnorm_parallel_for run, void* context) {
  return guarded({.function = __func__}, [&] {
    if (run == nullptr) {
      halnorm::set_parallel_for({});
      return;
    }
    halnorm::set_parallel_for([run, context](const halnorm::ParallelLoop& loop) {
      run(reinterpret_cast<const halnorm_parallel_loop*>(&loop), context);
    });
  });
}

int halnorm_parallel_loop_count(const halnorm_parallel_loop* loop) {
  return reinterpret_cast<const halnorm::ParallelLoop*>(loop)->count();
}

void halnorm_parallel_loop_run(const halnorm_parallel_loop* loop, int index) {
  reinterpret_cast<const halnorm::ParallelLoop*>(loop)->run(index);
}
