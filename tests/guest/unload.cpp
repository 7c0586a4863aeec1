#include <dlfcn.h>

#include <cstdio>
#include <fstream>
#include <string>

/// unload PLUGIN NAME...: loads a shared object twice, runs it, and unloads it. Afterwards no file
/// whose name contains a NAME may be mapped into the process.

namespace {

bool is_mapped(const std::string& name) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(name) != std::string::npos) {
      return true;
    }
  }
  return false;
}

int run(const char* path) {
  void* plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  auto* function = reinterpret_cast<int (*)()>(dlsym(plugin, "halnorm_test_plugin"));
  const int failed = function == nullptr ? 1 : function();
  return dlclose(plugin) == 0 ? failed : 1;
}

}  // namespace

int main(int count, char** words) {
  for (int round = 0; round < 2; ++round) {
    if (const int code = run(words[1]); code != 0) {
      std::fprintf(stderr, "round %d: the plugin returned %d\n", round, code);
      return 1;
    }
    for (int i = 2; i < count; ++i) {
      if (is_mapped(words[i])) {
        std::fprintf(stderr, "round %d: %s is still mapped\n", round, words[i]);
        return 1;
      }
    }
  }
  return 0;
}
