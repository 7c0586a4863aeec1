// Feeds arbitrary bytes to the loader of safetensors files. Each input either is a LoadError, or
// loads; then the result can be saved and loaded again with the same bytes. A stream gives the
// result of memory, and skipped tensors do not change the others.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
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

/// The loaded tensors as a file; nothing for a LoadError.
template <class Load>
std::optional<std::string> outcome(Load load) {
  try {
    return saved(load());
  } catch (const halnorm::LoadError&) {
    return std::nullopt;
  }
}

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

}  // namespace

// libFuzzer gives the name.
// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto strict = outcome([&] { return halnorm::load(bytes); });
  const auto lenient = outcome([&] { return halnorm::load(bytes, {.skip_unsupported = true}); });
  require(!strict || strict == lenient);
  std::istringstream stream(std::string(reinterpret_cast<const char*>(data), size));
  stream.exceptions(std::ios::eofbit | std::ios::failbit | std::ios::badbit);
  require(lenient == outcome([&] { return halnorm::load(stream, {.skip_unsupported = true}); }));
  if (lenient) {
    require(lenient == outcome([&] { return halnorm::load(std::as_bytes(std::span(*lenient))); }));
  }
  return 0;
}
