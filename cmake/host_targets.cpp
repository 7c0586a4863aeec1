// Prints the names of the targets that this CPU executes, as a CMake list, fastest first.

#include <cstdio>

int main() {
  __builtin_cpu_init();
  const bool sse41 = __builtin_cpu_supports("sse4.1");
  const bool avx2 = sse41 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  std::printf("%s%s%sbase", avx512 ? "avx512;" : "", avx2 ? "avx2;" : "", sse41 ? "sse41;" : "");
}
