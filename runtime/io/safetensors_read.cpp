#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <istream>
#include <limits>
#include <string>

#include "halnorm/error.h"
#include "io/ios_exceptions.h"
#include "io/other_formats.h"
#include "io/safetensors.h"

namespace halnorm::HALNORM_ABI {

namespace {

using safetensors::checked_header;
using safetensors::Header;
using safetensors::TensorInfo;

[[noreturn]] void fail(const std::string& source, const std::string& what) {
  throw LoadError("load: " + source + ": " + what);
}

/// Null if `read` gives elements that no DType holds.
template <class Read>
Tensor read_tensor(TensorInfo& info, Read read) {
  if (!info.type->dtype) {
    return {};
  }
  Tensor tensor = Tensor::empty(std::move(info.shape), *info.type->dtype);
  const std::uint64_t bytes = info.end - info.begin;
  if (info.type->to_int64 == nullptr) {
    if (bytes > 0) {
      read(info.begin, tensor.raw_data(), static_cast<std::size_t>(bytes));
    }
    return tensor;
  }
  std::array<std::byte, 1 << 14> chunk;  // a whole number of elements of any type
  auto* result = static_cast<std::int64_t*>(tensor.raw_data());
  const std::size_t element = info.type->bits / 8;
  for (std::uint64_t done = 0; done < bytes; done += chunk.size()) {
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes - done, chunk.size()));
    read(info.begin + done, chunk.data(), count);
    if (!info.type->to_int64(chunk.data(), count / element, result)) {
      return {};
    }
    result += count / element;
  }
  return tensor;
}

/// read(offset, destination, count) gives bytes of the data.
template <class Read>
StateDict read_tensors(const std::string& source, Header header, LoadOptions options, Read read) {
  StateDict state;
  state.metadata() = std::move(header.metadata);
  for (TensorInfo& info : header.tensors) {
    Tensor tensor = read_tensor(info, read);
    if (tensor.defined()) {
      state.set(std::move(info.name), std::move(tensor));
    } else if (!options.skip_unsupported) {
      fail(source, "got '" + safetensors::shortened(info.name) + "' of dtype " +
                       std::string(info.type->name) +
                       (info.type->dtype ? " with a value above 2^63 - 1" : "") +
                       ", wanted values that a DType holds; LoadOptions::skip_unsupported leaves "
                       "the tensor out");
    }
  }
  return state;
}

/// The length that a file's first bytes give for its header; `available` bytes follow them.
std::uint64_t checked_length(const std::string& source, std::uint64_t length,
                             std::uint64_t available) {
  if (length > available || length > safetensors::max_header_bytes) {
    fail(source, "got a header of " + std::to_string(length) + " bytes, wanted at most " +
                     std::to_string(std::min(available, safetensors::max_header_bytes)) +
                     ": the file is cut off or is not a safetensors file");
  }
  return length;
}

[[noreturn]] void fail_without_length(const std::string& source, std::uint64_t bytes) {
  fail(source,
       "got " + std::to_string(bytes) + " bytes, wanted at least the 8 of the header's length");
}

/// read(offset, destination, count) gives bytes of a file that has `file_bytes` of them.
template <class Read>
StateDict load_from(const std::string& source, std::uint64_t file_bytes, LoadOptions options,
                    Read read) {
  std::uint64_t length = 0;
  if (file_bytes < sizeof length) {
    fail_without_length(source, file_bytes);
  }
  read(0, &length, sizeof length);
  const std::uint64_t available = file_bytes - sizeof length;
  std::string json(static_cast<std::size_t>(checked_length(source, length, available)), '\0');
  read(sizeof length, json.data(), json.size());
  Header header = checked_header(source, json, available - length);
  if (header.data_bytes != available - length) {
    fail(source, "got " + std::to_string(available - length - header.data_bytes) +
                     " bytes behind the last tensor, wanted none");
  }
  return read_tensors(source, std::move(header), options,
                      [&](std::uint64_t offset, void* to, std::size_t count) {
                        read(sizeof length + length + offset, to, count);
                      });
}

/// Bytes of a stream, as many as asked for. Memory grows with the bytes that arrive, so that a
/// stream that promises much and gives little takes little.
std::string read_part(std::istream& stream, std::uint64_t count) {
  constexpr std::size_t least = 1 << 16;
  std::string bytes;
  while (bytes.size() < count && stream) {
    const std::size_t start = bytes.size();
    const auto step =
        static_cast<std::size_t>(std::min<std::uint64_t>(count - start, std::max(start, least)));
    bytes.resize(start + step);
    stream.read(bytes.data() + start, static_cast<std::streamsize>(step));
    bytes.resize(start + static_cast<std::size_t>(stream.gcount()));
  }
  if (stream.bad() || (stream.fail() && !stream.eof())) {
    fail("stream", "got a stream that fails, wanted one that can be read to its end");
  }
  return bytes;
}

void copy_from(std::span<const std::byte> bytes, std::uint64_t offset, void* to,
               std::size_t count) {
  if (count > 0) {
    std::memcpy(to, bytes.data() + offset, count);
  }
}

}  // namespace

StateDict load(std::span<const std::byte> bytes, LoadOptions options) {
  return load_from("memory", bytes.size(), options,
                   [&](std::uint64_t offset, void* to, std::size_t count) {
                     copy_from(bytes, offset, to, count);
                   });
}

StateDict load(std::istream& stream, LoadOptions options) {
  const std::string source = "stream";
  constexpr auto unlimited = std::numeric_limits<std::uint64_t>::max();
  const detail::NoIosExceptions guard(stream);
  std::uint64_t length = 0;
  const std::string first = read_part(stream, sizeof length);
  if (first.size() < sizeof length) {
    fail_without_length(source, first.size());
  }
  std::memcpy(&length, first.data(), sizeof length);
  checked_length(source, length, unlimited);
  const std::string json = read_part(stream, length);
  checked_length(source, length, json.size());
  Header header = checked_header(source, json, unlimited);
  const std::string data = read_part(stream, header.data_bytes);
  if (data.size() < header.data_bytes) {
    fail(source, "got " + std::to_string(data.size()) + " bytes of data, wanted the " +
                     std::to_string(header.data_bytes) + " of the header: the stream is cut off");
  }
  if (stream.peek() != std::istream::traits_type::eof()) {
    fail(source, "got more bytes behind the last tensor, wanted the stream's end");
  }
  return read_tensors(source, std::move(header), options,
                      [&](std::uint64_t offset, void* to, std::size_t count) {
                        copy_from(std::as_bytes(std::span(data)), offset, to, count);
                      });
}

StateDict load(const std::filesystem::path& path, LoadOptions options) {
  const std::string source = std::string("'") + path.c_str() + "'";
  if (path.native().find('\0') != std::string::npos) {
    fail(source, "got a path with a NUL behind this, wanted one without");
  }
  std::error_code error;
  const auto type = std::filesystem::status(path, error).type();
  if (type == std::filesystem::file_type::not_found) {
    fail(source, "got no such file");
  }
  if (type == std::filesystem::file_type::none) {
    fail(source, "got a file that cannot be looked at: " + error.message());
  }
  if (type != std::filesystem::file_type::regular) {
    fail(source, "got something that is not a regular file");
  }
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file.tellg();
  if (!file || size < 0) {
    fail(source, "got a file that cannot be opened: " + std::generic_category().message(errno));
  }
  const auto read = [&](std::uint64_t offset, void* to, std::size_t count) {
    file.seekg(static_cast<std::streamoff>(offset));
    file.read(static_cast<char*>(to), static_cast<std::streamsize>(count));
    if (!file) {
      fail(source, "got no " + std::to_string(count) + " bytes at " + std::to_string(offset) +
                       ": the file changed while it was read");
    }
  };
  try {
    return load_from(source, static_cast<std::uint64_t>(size), options, read);
  } catch (const LoadError& refusal) {
    throw LoadError(refusal.what() + safetensors::conversion_from(path));
  }
}

}  // namespace halnorm::HALNORM_ABI
