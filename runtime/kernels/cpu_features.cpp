#include "kernels/cpu_features.h"

#if defined(__aarch64__) || defined(__arm__)
#include <sys/auxv.h>
#endif

namespace halnorm::detail {

#if defined(__x86_64__)

bool cpu_runs(std::string_view target) noexcept {
  __builtin_cpu_init();
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

#elif defined(__aarch64__)

bool cpu_runs(std::string_view target) noexcept {
  const unsigned long features = ::getauxval(AT_HWCAP);
  const auto has = [features](unsigned long bits) { return (features & bits) == bits; };
  const bool arm64 = has(HWCAP_FP | HWCAP_ASIMD);
  if (target == "arm64") {
    return arm64;
  }
  const bool fp16 = arm64 && has(HWCAP_FPHP | HWCAP_ASIMDHP);
  if (target == "arm64_fp16") {
    return fp16;
  }
  return target == "arm64_dotprod" && fp16 && has(HWCAP_ASIMDDP);
}

#elif defined(__arm__)

bool cpu_runs(std::string_view target) noexcept {
  return target == "armhf" && (::getauxval(AT_HWCAP) & HWCAP_ARM_NEON) != 0;
}

#else

bool cpu_runs(std::string_view /*target*/) noexcept { return false; }

#endif

}  // namespace halnorm::detail
