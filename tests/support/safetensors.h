#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <sstream>
#include <string>

#include "halnorm/serialize.h"

/// @file
/// Makes safetensors files without the library.

namespace safetensors_file {

/// A file of this header and so many bytes of data.
inline std::string file_of(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + std::string(data_bytes, '\1');
}

inline halnorm::StateDict load_bytes(const std::string& bytes, halnorm::LoadOptions options = {}) {
  return halnorm::load(std::as_bytes(std::span(bytes)), options);
}

inline std::string saved(const halnorm::StateDict& state) {
  std::ostringstream stream;
  halnorm::save(state, stream);
  return stream.str();
}

/// {"t": {...}} of one entry.
inline std::string entry(const std::string& dtype, const std::string& shape,
                         const std::string& offsets, const std::string& name = "t") {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":[)" + shape +
         R"(],"data_offsets":[)" + offsets + "]}";
}

/// A file of these entries and so many bytes of data.
inline std::string with(const std::string& entries, std::size_t data_bytes) {
  return file_of("{" + entries + "}", data_bytes);
}

}  // namespace safetensors_file
