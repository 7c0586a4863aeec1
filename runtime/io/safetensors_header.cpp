#include <limits>
#include <utility>

// The parser's assertions would end the process; what they guard does not depend on the input.
#define JSON_ASSERT(condition) static_cast<void>(0)
#include <nlohmann/json.hpp>

#include "halnorm/error.h"
#include "io/safetensors.h"

namespace halnorm::HALNORM_ABI::safetensors {

namespace {

using Json = nlohmann::json;

/// Takes the events of the JSON parser and lets through nothing but the format, so that a hostile
/// header never becomes a tree in memory. As for the reference implementation, fields that
/// the format does not have are passed over, whatever they hold.
class HeaderReader {
 public:
  explicit HeaderReader(const std::string& source) : source_(source) {}

  Header header;

  bool start_object(std::size_t /*size*/) {
    enter();
    if (place_ == Place::Start) {
      place_ = Place::Names;
    } else if (place_ == Place::Value && name_ == metadata_key) {
      place_ = Place::Metadata;
    } else if (place_ == Place::Value) {
      place_ = Place::Tensor;
      header.tensors.emplace_back().name = name_;
      fields_ = {};
    } else if (place_ != Place::Ignored) {
      refuse("an object");
    }
    return true;
  }

  bool key(std::string& key) {
    if (place_ == Place::Names) {
      name_ = key;
      place_ = Place::Value;
      if (name_ == metadata_key && std::exchange(has_metadata_, true)) {
        fail("has two entries " + quoted_name() + ", wanted one");
      }
    } else if (place_ == Place::Metadata) {
      name_ = key;
      place_ = Place::MetadataValue;
    } else if (place_ != Place::Ignored) {
      enter_field(key);
    }
    return true;
  }

  bool string(std::string& text) {
    if (place_ == Place::MetadataValue) {
      header.metadata.insert_or_assign(name_, text);
      place_ = Place::Metadata;
    } else if (place_ == Place::DType) {
      header.tensors.back().type = find_type(text);
      if (header.tensors.back().type == nullptr) {
        fail("has dtype '" + shortened(text) + "' for " + quoted_name() +
             ", wanted one of the format, for example F32 or I64");
      }
      place_ = Place::Tensor;
    } else {
      ignore("a string");
    }
    return true;
  }

  bool start_array(std::size_t /*size*/) {
    enter();
    if (place_ == Place::Shape) {
      place_ = Place::Extents;
    } else if (place_ == Place::Offsets) {
      place_ = Place::OffsetValues;
    } else if (place_ != Place::Ignored) {
      refuse("an array");
    }
    return true;
  }

  bool number_unsigned(std::uint64_t value) {
    if (place_ == Place::Extents) {
      add_extent(header.tensors.back(), value);
    } else if (place_ == Place::OffsetValues) {
      add_offset(header.tensors.back(), value);
    } else {
      ignore("a number");
    }
    return true;
  }

  bool end_array() {
    --depth_;
    if (place_ == Place::Ignored) {
      end_ignored();
      return true;
    }
    if (place_ == Place::OffsetValues && offsets_ != 2) {
      fail("has " + std::to_string(offsets_) + " data_offsets for " + quoted_name() +
           ", wanted two");
    }
    place_ = Place::Tensor;
    return true;
  }

  bool end_object() {
    --depth_;
    if (place_ == Place::Ignored) {
      end_ignored();
      return true;
    }
    if (place_ == Place::Tensor && !(fields_.dtype && fields_.shape && fields_.offsets)) {
      fail("has no " +
           std::string(!fields_.dtype   ? "dtype"
                       : !fields_.shape ? "shape"
                                        : "data_offsets") +
           " for " + quoted_name());
    }
    place_ = place_ == Place::Names ? Place::End : Place::Names;
    return true;
  }

  bool null() {
    if (place_ == Place::Value && name_ == metadata_key) {
      place_ = Place::Names;
    } else {
      ignore("null");
    }
    return true;
  }
  bool boolean(bool /*value*/) { return ignore("a boolean"); }
  bool number_integer(std::int64_t value) {
    return ignore("the negative number " + std::to_string(value));
  }
  bool number_float(double /*value*/, const std::string& text) {
    return ignore("the number " + shortened(text));
  }
  bool binary(Json::binary_t& /*value*/) { refuse("binary data"); }
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const Json::exception& error) {
    fail("is not JSON at byte " + std::to_string(position) + ": " + shortened(error.what()));
  }

 private:
  /// The element that the parser has just passed, or is inside of.
  enum class Place : std::uint8_t {
    Start,
    Names,
    Value,
    Metadata,
    MetadataValue,
    Tensor,
    DType,
    Shape,
    Extents,
    Offsets,
    OffsetValues,
    Ignored,
    End
  };
  struct Fields {
    bool dtype = false;
    bool shape = false;
    bool offsets = false;
  };
  static constexpr int tensor_depth = 2;  ///< within the header's object and the tensor's

  [[nodiscard]] std::string quoted_name() const {
    std::string text = "'";
    return text.append(shortened(name_)).append("'");
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw LoadError("load: " + source_ + ": the header " + what);
  }

  [[noreturn]] void refuse(const std::string& what) const {
    const std::string where = place_ == Place::Start ? "at its start" : "at " + quoted_name();
    fail("has " + what + " " + where +
         ", wanted {name: {\"dtype\": text, \"shape\": [sizes], \"data_offsets\": [begin, end]}}, "
         "or texts in __metadata__");
  }

  void enter() {
    if (++depth_ > max_depth) {
      fail("nests more than " + std::to_string(max_depth) + " objects and arrays at " +
           quoted_name());
    }
  }

  /// A value that no field of the format has.
  bool ignore(const std::string& what) {
    if (place_ != Place::Ignored) {
      refuse(what);
    }
    end_ignored();
    return true;
  }

  void end_ignored() {
    if (depth_ == tensor_depth) {
      place_ = Place::Tensor;
    }
  }

  void add_extent(TensorInfo& tensor, std::uint64_t value) const {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      fail("has extent " + std::to_string(value) + " for " + quoted_name() +
           ", wanted less than 2^63");
    }
    if (tensor.shape.size() == max_rank) {
      fail("has more than " + std::to_string(max_rank) + " extents for " + quoted_name());
    }
    tensor.shape.push_back(static_cast<std::int64_t>(value));
  }

  void add_offset(TensorInfo& tensor, std::uint64_t value) {
    if (offsets_ == 2) {
      fail("has more than two data_offsets for " + quoted_name());
    }
    (offsets_ == 0 ? tensor.begin : tensor.end) = value;
    ++offsets_;
  }

  void enter_field(const std::string& key) {
    bool* seen = key == "dtype"          ? &fields_.dtype
                 : key == "shape"        ? &fields_.shape
                 : key == "data_offsets" ? &fields_.offsets
                                         : nullptr;
    if (seen == nullptr) {
      place_ = Place::Ignored;
      return;
    }
    if (std::exchange(*seen, true)) {
      fail("has two fields '" + key + "' for " + quoted_name());
    }
    offsets_ = 0;
    place_ = seen == &fields_.dtype   ? Place::DType
             : seen == &fields_.shape ? Place::Shape
                                      : Place::Offsets;
  }

  const std::string& source_;
  Place place_ = Place::Start;
  std::string name_;
  bool has_metadata_ = false;
  Fields fields_;
  int offsets_ = 0;
  int depth_ = 0;
};

}  // namespace

std::string json_string(const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    throw ValueError("save: got the name or metadata '" + text + "', wanted UTF-8");
  }
}

std::string shortened(const std::string& text) {
  constexpr std::size_t enough = 200;
  std::string shown;
  for (const char letter : text.substr(0, enough)) {
    shown += letter == '\0' ? std::string("\\0") : std::string(1, letter);
  }
  return text.size() <= enough ? shown : shown + "...";
}

Header read_header(const std::string& source, std::string_view json) {
  const auto refuse = [&](const std::string& what) {
    throw LoadError("load: " + source + ": got a header that " + what);
  };
  // The parser would pass over a byte order mark, and take a NUL for the text's end.
  if (const auto first = json.find_first_not_of(" \t\n\r");
      first == std::string_view::npos || json[first] != '{') {
    refuse("does not begin with '{', wanted a JSON object");
  }
  if (const auto nul = json.find('\0'); nul != std::string_view::npos) {
    refuse("is not JSON at byte " + std::to_string(nul) + ": it holds a NUL");
  }
  HeaderReader reader(source);
  Json::sax_parse(json.begin(), json.end(), &reader);
  return std::move(reader.header);
}

}  // namespace halnorm::HALNORM_ABI::safetensors
