// Feeds arbitrary bytes to the loader of safetensors files. Each input either is a LoadError, or
// loads, and then what was loaded can be saved and loaded again with the same bytes.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <sstream>
#include <string>

#include "halnorm/error.h"
#include "halnorm/serialize.h"

namespace {

std::string saved(const halnorm::StateDict& state) {
  std::ostringstream stream;
  halnorm::save(state, stream);
  return stream.str();
}

}  // namespace

// libFuzzer gives the name.
// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  halnorm::StateDict state;
  try {
    state = halnorm::load(std::as_bytes(std::span(data, size)));
  } catch (const halnorm::LoadError&) {
    return 0;
  }
  const std::string bytes = saved(state);
  if (saved(halnorm::load(std::as_bytes(std::span(bytes)))) != bytes) {
    std::abort();
  }
  return 0;
}
