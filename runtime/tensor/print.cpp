#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <ostream>
#include <string>
#include <type_traits>
#include <vector>

#include "base/convert.h"
#include "tensor/device_copy.h"
#include "tensor/impl.h"

/// @file
/// A tensor as text. Formats, widths and line breaks are those of PyTorch's _tensor_str.py.

namespace halnorm::HALNORM_ABI {

namespace {

using Fields = detail::TensorAccess::Fields;

constexpr std::int64_t most_elements = 1000;
constexpr std::int64_t edge_items = 3;
constexpr std::size_t line_width = 80;
constexpr int digits = 4;

std::string number(double value, std::chars_format format, int precision) {
  if (std::isnan(value)) {
    return "nan";
  }
  if (std::isinf(value)) {
    return value > 0 ? "inf" : "-inf";
  }
  std::array<char, 32> text{};  // fixed numbers are at most 1e8
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, format, precision).ptr;
  return {text.data(), end};
}

/// One form for all numbers of a tensor: that of its finite values other than 0.
class FloatForm {
 public:
  explicit FloatForm(const std::vector<double>& values) {
    double least = std::numeric_limits<double>::infinity();
    double most = 0;
    for (const double value : values) {
      if (std::isfinite(value) && value != 0) {
        least = std::min(least, std::fabs(value));
        most = std::max(most, std::fabs(value));
        has_fractions_ = has_fractions_ || value != std::ceil(value);
      }
    }
    is_scientific_ = most / least > 1000 || most > 1e8 || (has_fractions_ && least < 1e-4);
  }

  [[nodiscard]] std::string text(double value) const {
    if (is_scientific_ || has_fractions_) {
      return number(
          value, is_scientific_ ? std::chars_format::scientific : std::chars_format::fixed, digits);
    }
    return number(value, std::chars_format::fixed, 0) + (std::isfinite(value) ? "." : "");
  }

 private:
  bool has_fractions_ = false;
  bool is_scientific_ = false;
};

/// The numbers that are shown, in row-major order, and how wide each of them is written.
struct Numbers {
  std::vector<std::string> texts;
  std::size_t width = 1;

  explicit Numbers(const std::vector<std::int64_t>& values) {
    for (const std::int64_t value : values) {
      texts.push_back(std::to_string(value));
      width = std::max(width, texts.back().size());
    }
  }

  explicit Numbers(const std::vector<double>& values) {
    const FloatForm form(values);
    for (const double value : values) {
      texts.push_back(form.text(value));
      if (std::isfinite(value) && value != 0) {
        width = std::max(width, texts.back().size());
      }
    }
  }
};

/// Whether a tensor is shown in parts, and which indices along an axis are shown.
struct Excerpt {
  bool is_summary;

  [[nodiscard]] bool has_gap(std::int64_t extent) const {
    return is_summary && extent > 2 * edge_items;
  }
  [[nodiscard]] std::int64_t shown(std::int64_t extent) const {
    return has_gap(extent) ? 2 * edge_items : extent;
  }
  [[nodiscard]] std::int64_t index(std::int64_t place, std::int64_t extent) const {
    return has_gap(extent) && place >= edge_items ? extent - 2 * edge_items + place : place;
  }
};

template <class T, class Element>
void gather(const Fields& fields, const Excerpt& excerpt, const Element* first, std::size_t axis,
            std::vector<T>& values) {
  if (axis == fields.shape.size()) {
    values.push_back(detail::convert<T>(*first));
    return;
  }
  const std::int64_t extent = fields.shape[axis];
  for (std::int64_t place = 0; place < excerpt.shown(extent); ++place) {
    gather(fields, excerpt, first + excerpt.index(place, extent) * fields.strides[axis], axis + 1,
           values);
  }
}

Numbers numbers_of(const Fields& fields, const Excerpt& excerpt) {
  return detail::visit_dtype(fields.dtype, [&](auto element) {
    using Element = decltype(element);
    using T = std::conditional_t<std::is_same_v<Element, std::int64_t>, std::int64_t, double>;
    std::vector<T> values;
    if (fields.numel > 0) {
      gather(fields, excerpt, static_cast<const Element*>(fields.data), 0, values);
    }
    return Numbers(values);
  });
}

/// Writes the brackets around the numbers.
class Brackets {
 public:
  Brackets(const Shape& shape, const Excerpt& excerpt, const Numbers& numbers)
      : shape_(shape), excerpt_(excerpt), numbers_(numbers) {}

  std::string text(std::size_t indent) { return shape_.empty() ? next() : axis(0, indent); }

 private:
  std::string next() {
    const std::string& number = numbers_.texts[used_++];
    const std::size_t missing = numbers_.width - std::min(numbers_.width, number.size());
    return std::string(missing, ' ') + number;
  }

  std::string axis(std::size_t at, std::size_t indent) {
    const std::int64_t extent = shape_[at];
    const bool is_last = at + 1 == shape_.size();
    const std::size_t breaks = is_last ? 1 : shape_.size() - at - 1;
    const std::string line_end = "," + std::string(breaks, '\n') + std::string(indent + 1, ' ');
    const std::size_t width = numbers_.width + 2;
    const std::size_t in_line =
        is_last ? std::max<std::size_t>(1, (line_width - std::min(line_width, indent)) / width) : 1;
    std::string all;
    std::size_t written = 0;
    const auto add = [&](const std::string& item) {
      all += written == 0 ? "" : written % in_line == 0 ? line_end : ", ";
      all += item;
      ++written;
    };
    for (std::int64_t place = 0; place < excerpt_.shown(extent); ++place) {
      if (place == edge_items && excerpt_.has_gap(extent)) {
        add(is_last ? " ..." : "...");
      }
      add(is_last ? next() : axis(at + 1, indent + 1));
    }
    return "[" + all + "]";
  }

  const Shape& shape_;
  const Excerpt& excerpt_;
  const Numbers& numbers_;
  std::size_t used_ = 0;
};

std::string values_of(const Fields& fields, std::size_t indent) {
  if (fields.numel == 0) {
    return "[]";
  }
  const Excerpt excerpt{fields.numel > most_elements};
  const Numbers numbers = numbers_of(fields, excerpt);
  return Brackets(fields.shape, excerpt, numbers).text(indent);
}

/// Puts ", what" behind a text, on a new line where it does not fit.
void append(std::string& text, const std::string& what, std::size_t indent) {
  const std::size_t line = text.size() - (text.rfind('\n') + 1);
  text += line + what.size() + 3 > line_width ? ",\n" + std::string(indent, ' ') : ", ";
  text += what;
}

}  // namespace

// A friend is declared in its class, where the header does not make it visible.
#pragma GCC visibility push(default)
std::ostream& operator<<(std::ostream& stream, const Tensor& tensor) {
  if (!tensor.defined()) {
    return stream << "tensor(undefined)";
  }
  const Fields& fields = *tensor.impl_;
  std::string text = "tensor(";
  const std::size_t indent = text.size();
  if (fields.is_part()) {
    text += "...";
  } else if (fields.memory) {
    text += values_of(detail::TensorAccess::of(detail::on_host(tensor)), indent);
  } else {
    text += values_of(fields, indent);
  }
  append(text, "shape=" + detail::to_string(tensor.shape()), indent);
  append(text, "dtype=" + std::string(name_of(fields.dtype)), indent);
  if (fields.memory) {
    append(text, "device=" + fields.device.str(), indent);
  }
  if (tensor.is_global()) {
    append(text, "sbp=" + tensor.sbp().str(), indent);
  }
  return stream << text + ")";
}
#pragma GCC visibility pop

}  // namespace halnorm::HALNORM_ABI
