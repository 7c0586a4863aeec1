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
/// The reference implementation's JSON parser goes no deeper.
inline constexpr int max_depth = 127;
/// numpy's limit. Without one, a header of many extents of 1 would take several times its own size.
inline constexpr std::size_t max_rank = 64;

inline constexpr std::string_view metadata_key = "__metadata__";

/// A type of elements that files may have.
struct ElementType {
  std::string_view name;       ///< "F32" and so on
  unsigned bits;               ///< of one element
  std::optional<DType> dtype;  ///< of the tensor it loads as; none if no DType holds its values
  /// Converts elements to Int64; false if a value does not fit. Null if the bytes are those of
  /// `dtype`.
  bool (*to_int64)(const std::byte* elements, std::size_t count, std::int64_t* result) noexcept;
};

/// Null for a name that the format does not have.
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
  std::uint64_t data_bytes = 0;  ///< that the tensors take
};

/// Reads a header's text; what it says is not yet checked against the file.
/// @throws LoadError in the name of `source`, the file.
Header read_header(const std::string& source, std::string_view json);

/// The same, checked: the tensors fill the data without gaps or overlaps, at most `limit` bytes of
/// it, and each has the size of its shape. Of entries with one name the last is kept.
Header checked_header(const std::string& source, std::string_view json, std::uint64_t limit);

/// The first 200 bytes of a text that may be as long as the file, for messages, which end at a NUL.
std::string shortened(const std::string& text);

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
