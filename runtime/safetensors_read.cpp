#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <istream>
#include <numeric>
#include <string>

#include "halnorm/error.h"
#include "safetensors.h"
#include "strided.h"

namespace halnorm {

namespace {

using safetensors::Header;
using safetensors::TensorInfo;

[[noreturn]] void fail(const std::string& source, const std::string& what) {
  throw LoadError("load: " + source + ": " + what);
}

std::string range_of(const TensorInfo& tensor) {
  return "'" + tensor.name + "' at bytes [" + std::to_string(tensor.begin) + ", " +
         std::to_string(tensor.end) + ")";
}

/// One tensor by itself.
void check_tensor(const std::string& source, const TensorInfo& tensor, std::uint64_t data_bytes) {
  if (tensor.begin > tensor.end || tensor.end > data_bytes) {
    fail(source, "got " + range_of(tensor) + ", wanted a range within the " +
                     std::to_string(data_bytes) + " bytes of data");
  }
  const std::size_t element = size_of(tensor.dtype);
  if (tensor.begin % element != 0) {
    fail(source, "got " + range_of(tensor) + ", wanted an alignment to its elements of " +
                     std::to_string(element) + " bytes");
  }
  std::uint64_t bytes = 0;
  try {
    bytes =
        static_cast<std::uint64_t>(detail::checked_numel("shape", tensor.shape, element)) * element;
  } catch (const ShapeError& error) {
    fail(source, "'" + tensor.name + "': " + error.what());
  }
  if (bytes != tensor.end - tensor.begin) {
    fail(source, "got " + range_of(tensor) + ", wanted the " + std::to_string(bytes) +
                     " bytes of shape " + detail::to_string(tensor.shape) + " and dtype " +
                     std::string(name_of(tensor.dtype)));
  }
}

/// All of them together fill the data: no byte belongs to two tensors, or to none.
void check_header(const std::string& source, const Header& header, std::uint64_t data_bytes) {
  std::vector<const TensorInfo*> in_file;
  for (const TensorInfo& tensor : header.tensors) {
    check_tensor(source, tensor, data_bytes);
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
  if (filled != data_bytes) {
    fail(source, "got " + std::to_string(data_bytes - filled) +
                     " bytes behind the last tensor, wanted none");
  }
}

/// read(offset, destination, count) gives bytes of a file that has `file_bytes` of them.
template <class Read>
StateDict load_from(const std::string& source, std::uint64_t file_bytes, Read read) {
  std::uint64_t length = 0;
  if (file_bytes < sizeof length) {
    fail(source, "got " + std::to_string(file_bytes) +
                     " bytes, wanted at least the 8 of the header's length");
  }
  read(0, &length, sizeof length);
  const std::uint64_t available = file_bytes - sizeof length;
  if (length > available || length > safetensors::max_header_bytes) {
    fail(source, "got a header of " + std::to_string(length) + " bytes, wanted at most " +
                     std::to_string(std::min(available, safetensors::max_header_bytes)) +
                     ": the file is cut off or is not a safetensors file");
  }
  std::string json(static_cast<std::size_t>(length), '\0');
  read(sizeof length, json.data(), json.size());
  if (!json.starts_with('{')) {
    fail(source, "got a header that does not begin with '{', wanted a JSON object");
  }
  Header header = safetensors::read_header(source, json);
  const std::uint64_t data_bytes = available - length;
  check_header(source, header, data_bytes);
  StateDict state;
  state.metadata() = std::move(header.metadata);
  for (TensorInfo& info : header.tensors) {
    Tensor tensor = Tensor::empty(std::move(info.shape), info.dtype);
    if (info.end > info.begin) {
      read(sizeof length + length + info.begin, tensor.raw_data(),
           static_cast<std::size_t>(info.end - info.begin));
    }
    state.set(std::move(info.name), std::move(tensor));
  }
  return state;
}

}  // namespace

StateDict load(std::span<const std::byte> bytes) {
  return load_from("memory", bytes.size(), [&](std::uint64_t offset, void* to, std::size_t count) {
    if (count > 0) {
      std::memcpy(to, bytes.data() + offset, count);
    }
  });
}

StateDict load(std::istream& stream) {
  std::vector<std::byte> bytes;
  std::array<char, 1 << 16> chunk;
  do {
    stream.read(chunk.data(), chunk.size());
    const auto first = reinterpret_cast<const std::byte*>(chunk.data());
    bytes.insert(bytes.end(), first, first + stream.gcount());
  } while (stream);
  if (!stream.eof()) {
    fail("stream", "got a stream that fails, wanted one that can be read to its end");
  }
  return load(std::span<const std::byte>(bytes));
}

StateDict load(const std::filesystem::path& path) {
  const std::string source = std::string("'") + path.string() + "'";
  std::error_code unknown;
  if (!std::filesystem::exists(path, unknown)) {
    fail(source, "got no such file");
  }
  if (!std::filesystem::is_regular_file(path, unknown)) {
    fail(source, "got something that is not a regular file");
  }
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file.tellg();
  if (!file || size < 0) {
    fail(source, "got a file that cannot be opened");
  }
  return load_from(source, static_cast<std::uint64_t>(size),
                   [&](std::uint64_t offset, void* to, std::size_t count) {
                     file.seekg(static_cast<std::streamoff>(offset));
                     file.read(static_cast<char*>(to), static_cast<std::streamsize>(count));
                     if (!file) {
                       fail(source, "got no " + std::to_string(count) + " bytes at " +
                                        std::to_string(offset) +
                                        ": the file changed while it was read");
                     }
                   });
}

}  // namespace halnorm
