// Prints those of its arguments, names of targets, that this CPU executes, as a CMake list.

#include <cstdio>

#include "kernels/cpu_features.h"

int main(int argc, char** argv) {
  const char* separator = "";
  for (int i = 1; i < argc; ++i) {
    if (halnorm::detail::cpu_runs(argv[i])) {
      std::printf("%s%s", separator, argv[i]);
      separator = ";";
    }
  }
}
