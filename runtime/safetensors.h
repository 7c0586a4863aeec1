#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "halnorm/serialize.h"

/// @file
/// The safetensors format: 8 bytes, the header's length as a little-endian integer; the header, a
/// JSON object {"__metadata__": {name: text}, name: {"dtype", "shape", "data_offsets": [begin,
/// end]}}; then the tensors' elements, row-major and little-endian, offsets counted from there.

namespace halnorm::safetensors {

static_assert(std::endian::native == std::endian::little, "elements are written as they lie");

inline constexpr std::size_t length_bytes = 8;
/// The limit of the reference implementation.
inline constexpr std::uint64_t max_header_bytes = 100'000'000;
/// numpy's limit. Without one, a header of many extents of 1 would take several times its own size.
inline constexpr std::size_t max_rank = 64;

inline constexpr std::string_view metadata_key = "__metadata__";

/// One tensor of a header.
struct TensorInfo {
  std::string name;
  DType dtype = DType::Float32;
  Shape shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct Header {
  std::vector<TensorInfo> tensors;  ///< in the order of the header
  std::map<std::string, std::string> metadata;
};

/// "F32" and so on; none for a name that is not read.
std::optional<DType> dtype_of(std::string_view name) noexcept;
std::string_view dtype_name(DType dtype) noexcept;

/// Reads a header's text; what it says is not yet checked against the file.
/// @throws LoadError in the name of `source`, the file.
Header read_header(const std::string& source, std::string_view json);

/// A text as JSON writes it, in quotes. @throws ValueError if it is not UTF-8.
std::string json_string(const std::string& text);

/// The first two parts of a file, and the tensors in the order their elements follow, contiguous.
struct Layout {
  std::string head;
  std::vector<Tensor> tensors;
};
/// @throws ValueError as halnorm::save.
Layout lay_out(const StateDict& state);

}  // namespace halnorm::safetensors
