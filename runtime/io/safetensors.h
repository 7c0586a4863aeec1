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

namespace halnorm::HALNORM_ABI::safetensors {

static_assert(std::endian::native == std::endian::little, "elements are written as they lie");

inline constexpr std::size_t length_bytes = 8;
/// The limit of the reference implementation.
inline constexpr std::uint64_t max_header_bytes = 100'000'000;
/// The depth of the reference implementation's JSON parser.
inline constexpr int max_depth = 127;
/// The limit of numpy. It bounds the memory for a header with many extents of 1.
inline constexpr std::size_t max_rank = 64;

inline constexpr std::string_view metadata_key = "__metadata__";

/// A type of elements in files.
struct ElementType {
  std::string_view name;       ///< "F32" and so on
  unsigned bits;               ///< of one element
  std::optional<DType> dtype;  ///< of the loaded tensor; none if no DType can represent the values
  /// Converts elements to Int64; false if a value does not fit. Null if the bytes are those of
  /// `dtype`.
  bool (*to_int64)(const std::byte* elements, std::size_t count, std::int64_t* result) noexcept;
};

/// Null for a name that the format does not define.
const ElementType* find_type(std::string_view name) noexcept;
std::string_view type_name(DType dtype) noexcept;

/// One tensor of a header.
struct TensorInfo {
  std::string name;
  const ElementType* type = nullptr;
  Shape shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct Header {
  std::vector<TensorInfo> tensors;  ///< in the order of the header
  std::map<std::string, std::string> metadata;
  std::uint64_t data_bytes = 0;  ///< of all tensors
};

/// Parses the text of a header, without a check against the file.
/// @throws LoadError that names `source`, the file.
Header read_header(const std::string& source, std::string_view json);

/// Parses and checks: the tensors fill the data, at most `limit` bytes, without gaps or overlaps,
/// and each has the size of its shape. If entries have the same name, the last one is kept.
Header checked_header(const std::string& source, std::string_view json, std::uint64_t limit);

/// The first 200 bytes of a text, up to a NUL, for messages. The text may be as long as the file.
std::string shortened(const std::string& text);

/// A text as a JSON string with quotes. @throws ValueError if it is not UTF-8.
std::string json_string(const std::string& text);

/// The first two parts of a file, and its tensors, made contiguous, in the order of the data.
struct Layout {
  std::string head;
  std::vector<Tensor> tensors;
};
/// @throws ValueError as halnorm::save.
Layout lay_out(const StateDict& state);

}  // namespace halnorm::HALNORM_ABI::safetensors
