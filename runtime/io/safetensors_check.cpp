#include <algorithm>
#include <string>
#include <utility>

#include "base/strides.h"
#include "halnorm/error.h"
#include "io/safetensors.h"

namespace halnorm::HALNORM_ABI::safetensors {

namespace {

[[noreturn]] void fail(const std::string& source, const std::string& what) {
  throw LoadError("load: " + source + ": " + what);
}

std::string quoted(const TensorInfo& tensor) {
  return "'" + safetensors::shortened(tensor.name) + "'";
}

std::string range_of(const TensorInfo& tensor) {
  return quoted(tensor) + " at bytes [" + std::to_string(tensor.begin) + ", " +
         std::to_string(tensor.end) + ")";
}

/// The bytes of the tensor's elements, or none if they are no whole number below 2^64.
std::optional<std::uint64_t> bytes_of(const TensorInfo& tensor) {
  std::uint64_t bits = 1;
  for (const std::int64_t extent : tensor.shape) {
    if (__builtin_mul_overflow(bits, static_cast<std::uint64_t>(extent), &bits)) {
      return std::nullopt;
    }
  }
  constexpr unsigned byte = 8;
  if (__builtin_mul_overflow(bits, std::uint64_t{tensor.type->bits}, &bits) || bits % byte != 0) {
    return std::nullopt;
  }
  return bits / byte;
}

/// One tensor by itself.
void check_tensor(const std::string& source, const TensorInfo& tensor, std::uint64_t data_bytes) {
  if (tensor.begin > tensor.end || tensor.end > data_bytes) {
    fail(source, "got " + range_of(tensor) + ", wanted a range within the " +
                     std::to_string(data_bytes) + " bytes of data");
  }
  const auto bytes = bytes_of(tensor);
  if (bytes != tensor.end - tensor.begin) {
    fail(source, "got " + range_of(tensor) + ", wanted the " +
                     (bytes ? std::to_string(*bytes) + " bytes"
                            : std::string("whole number of bytes, below 2^61,")) +
                     " of shape " + detail::to_string(tensor.shape) + " and dtype " +
                     std::string(tensor.type->name));
  }
  if (!tensor.type->dtype) {
    return;
  }
  try {
    detail::checked_numel("shape", tensor.shape, size_of(*tensor.type->dtype));
  } catch (const ShapeError& error) {
    fail(source, quoted(tensor) + ": " + error.what());
  }
}

/// Of several entries with one name the last counts, as for the reference implementation.
void keep_last(std::vector<TensorInfo>& tensors) {
  std::vector<TensorInfo*> by_name;
  by_name.reserve(tensors.size());
  for (TensorInfo& tensor : tensors) {
    by_name.push_back(&tensor);
  }
  std::sort(by_name.begin(), by_name.end(), [](const TensorInfo* a, const TensorInfo* b) {
    const int order = a->name.compare(b->name);
    return order < 0 || (order == 0 && a < b);
  });
  for (std::size_t i = 1; i < by_name.size(); ++i) {
    if (by_name[i - 1]->name == by_name[i]->name) {
      by_name[i - 1]->type = nullptr;
    }
  }
  std::erase_if(tensors, [](const TensorInfo& tensor) { return tensor.type == nullptr; });
}

/// All of them together fill the data: no byte belongs to two tensors, or to none. Returns its
/// size.
std::uint64_t check_tensors(const std::string& source, const std::vector<TensorInfo>& tensors,
                            std::uint64_t limit) {
  std::vector<const TensorInfo*> in_file;
  in_file.reserve(tensors.size());
  for (const TensorInfo& tensor : tensors) {
    check_tensor(source, tensor, limit);
    in_file.push_back(&tensor);
  }
  std::sort(in_file.begin(), in_file.end(), [](const TensorInfo* a, const TensorInfo* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  std::uint64_t filled = 0;
  for (const TensorInfo* tensor : in_file) {
    if (tensor->begin != filled) {
      fail(source, "got " + range_of(*tensor) + ", wanted it to begin at " +
                       std::to_string(filled) + ": it " +
                       (tensor->begin < filled ? "overlaps another tensor" : "leaves a gap"));
    }
    filled = tensor->end;
  }
  return filled;
}

}  // namespace

Header checked_header(const std::string& source, std::string_view json, std::uint64_t limit) {
  Header header = read_header(source, json);
  keep_last(header.tensors);
  header.data_bytes = check_tensors(source, header.tensors, limit);
  return header;
}

}  // namespace halnorm::HALNORM_ABI::safetensors
