#include <limits>
#include <set>

// The parser's assertions would end the process; what they guard does not depend on the input.
#define JSON_ASSERT(condition) static_cast<void>(0)
#include <nlohmann/json.hpp>

#include "halnorm/error.h"
#include "safetensors.h"

namespace halnorm::safetensors {

namespace {

using Json = nlohmann::json;

/// Enough of a text that may be as long as the file.
std::string shown(const std::string& text) {
  constexpr std::size_t enough = 200;
  return text.size() <= enough ? text : text.substr(0, enough) + "...";
}

/// Takes the events of the JSON parser and lets through nothing but the format, so that a hostile
/// header never becomes a tree in memory.
class HeaderReader {
 public:
  explicit HeaderReader(const std::string& source) : source_(source) {}

  Header header;

  bool start_object(std::size_t /*size*/) {
    if (place_ == Place::Start) {
      place_ = Place::Names;
    } else if (place_ == Place::Value && name_ == metadata_key) {
      place_ = Place::Metadata;
    } else if (place_ == Place::Value) {
      place_ = Place::Tensor;
      header.tensors.emplace_back().name = name_;
      fields_ = {};
    } else {
      refuse("an object");
    }
    return true;
  }

  bool key(std::string& key) {
    if (place_ == Place::Names) {
      if (!names_.insert(key).second) {
        fail("has two entries '" + shown(key) + "', wanted each name once");
      }
      name_ = key;
      place_ = Place::Value;
    } else if (place_ == Place::Metadata) {
      name_ = key;
      if (header.metadata.contains(key)) {
        fail("has two metadata entries '" + shown(key) + "', wanted each name once");
      }
      place_ = Place::MetadataValue;
    } else {
      enter_field(key);
    }
    return true;
  }

  bool string(std::string& text) {
    if (place_ == Place::MetadataValue) {
      header.metadata.emplace(name_, text);
      place_ = Place::Metadata;
    } else if (place_ == Place::DType) {
      const auto dtype = dtype_of(text);
      if (!dtype) {
        fail("has dtype '" + shown(text) + "' for " + quoted_name() +
             ", wanted F16, BF16, F32, F64 or I64");
      }
      header.tensors.back().dtype = *dtype;
      place_ = Place::Tensor;
    } else {
      refuse("a string");
    }
    return true;
  }

  bool start_array(std::size_t /*size*/) {
    if (place_ == Place::Shape) {
      place_ = Place::Extents;
    } else if (place_ == Place::Offsets) {
      place_ = Place::OffsetValues;
    } else {
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
      refuse("a number");
    }
    return true;
  }

  bool end_array() {
    if (place_ == Place::OffsetValues && offsets_ != 2) {
      fail("has " + std::to_string(offsets_) + " data_offsets for " + quoted_name() +
           ", wanted two");
    }
    place_ = Place::Tensor;
    return true;
  }

  bool end_object() {
    if (place_ == Place::Names) {
      place_ = Place::End;
    } else {
      if (place_ == Place::Tensor && !(fields_.dtype && fields_.shape && fields_.offsets)) {
        fail("has no " +
             std::string(!fields_.dtype   ? "dtype"
                         : !fields_.shape ? "shape"
                                          : "data_offsets") +
             " for " + quoted_name());
      }
      place_ = Place::Names;
    }
    return true;
  }

  bool null() { refuse("null"); }
  bool boolean(bool /*value*/) { refuse("a boolean"); }
  bool number_integer(std::int64_t value) {
    refuse("the negative number " + std::to_string(value));
  }
  bool number_float(double /*value*/, const std::string& text) {
    refuse("the number " + shown(text));
  }
  bool binary(Json::binary_t& /*value*/) { refuse("binary data"); }
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const Json::exception& error) {
    fail("is not JSON at byte " + std::to_string(position) + ": " + shown(error.what()));
  }

 private:
  /// What the parser has just passed, or is inside of.
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
    End
  };
  struct Fields {
    bool dtype = false;
    bool shape = false;
    bool offsets = false;
  };

  [[nodiscard]] std::string quoted_name() const {
    std::string text = "'";
    return text.append(shown(name_)).append("'");
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
      fail("has a field '" + shown(key) + "' for " + quoted_name() +
           ", wanted dtype, shape and data_offsets");
    }
    if (*seen) {
      fail("has two fields '" + key + "' for " + quoted_name());
    }
    *seen = true;
    offsets_ = 0;
    place_ = seen == &fields_.dtype   ? Place::DType
             : seen == &fields_.shape ? Place::Shape
                                      : Place::Offsets;
  }

  const std::string& source_;
  Place place_ = Place::Start;
  std::string name_;
  std::set<std::string> names_;
  Fields fields_;
  int offsets_ = 0;
};

}  // namespace

std::optional<DType> dtype_of(std::string_view name) noexcept {
  for (const DType dtype :
       {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64, DType::Int64}) {
    if (dtype_name(dtype) == name) {
      return dtype;
    }
  }
  return std::nullopt;
}

std::string_view dtype_name(DType dtype) noexcept {
  switch (dtype) {
    case DType::Float16:
      return "F16";
    case DType::BFloat16:
      return "BF16";
    case DType::Float32:
      return "F32";
    case DType::Float64:
      return "F64";
    case DType::Int64:
      break;
  }
  return "I64";
}

std::string json_string(const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    throw ValueError("save: got the name or metadata '" + text + "', wanted UTF-8");
  }
}

Header read_header(const std::string& source, std::string_view json) {
  HeaderReader reader(source);
  Json::sax_parse(json.begin(), json.end(), &reader);
  return std::move(reader.header);
}

}  // namespace halnorm::safetensors
