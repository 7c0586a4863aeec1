#include "cpu_features.h"

namespace halnorm::detail {

#if defined(__x86_64__)

bool cpu_runs(std::string_view target) noexcept {
  __builtin_cpu_init();
  if (target == "base") {
    return true;
  }
  const bool sse41 = __builtin_cpu_supports("sse4.1") != 0;
  if (target == "sse41") {
    return sse41;
  }
  const bool avx2 = sse41 && __builtin_cpu_supports("avx2") != 0 &&
                    __builtin_cpu_supports("fma") != 0 && __builtin_cpu_supports("f16c") != 0;
  if (target == "avx2") {
    return avx2;
  }
  return target == "avx512" && avx2 && __builtin_cpu_supports("avx512f") != 0 &&
         __builtin_cpu_supports("avx512cd") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
}

#else

bool cpu_runs(std::string_view target) noexcept { return target == "base"; }

#endif

}  // namespace halnorm::detail
