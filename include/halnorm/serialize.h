#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "halnorm/tensor.h"

/// @file
/// Named tensors, and the safetensors files that hold them.

#pragma GCC visibility push(default)

namespace halnorm {

/// A map from names to tensors that keeps the order of insertion, with string metadata beside it.
/// Copying it copies the handles: the tensors stay shared.
class StateDict {
 public:
  using Entry = std::pair<std::string, Tensor>;
  using const_iterator = std::vector<Entry>::const_iterator;

  StateDict() = default;
  StateDict(std::initializer_list<Entry> entries);

  /// Appends, or replaces the tensor of a name that is there, in its old place.
  void set(std::string name, Tensor tensor);
  /// Removes an entry; false if there was none.
  bool erase(std::string_view name);
  /// Gives an entry another name and keeps its place; replaces what had that name before. False if
  /// there is no entry `from`.
  bool rename(std::string_view from, std::string to);

  [[nodiscard]] bool contains(std::string_view name) const { return find(name) != nullptr; }
  /// Null if there is none; valid until the next change.
  [[nodiscard]] const Tensor* find(std::string_view name) const;
  /// @throws ValueError if there is none.
  [[nodiscard]] const Tensor& at(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> names() const;
  /// The first name, in the order of their bytes, that does not come before `bound`; null if none.
  [[nodiscard]] const std::string* first_name_from(std::string_view bound) const;

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] const_iterator begin() const noexcept { return entries_.begin(); }
  [[nodiscard]] const_iterator end() const noexcept { return entries_.end(); }

  /// Free text beside the tensors; files carry it.
  [[nodiscard]] std::map<std::string, std::string>& metadata() noexcept { return metadata_; }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const noexcept {
    return metadata_;
  }

  /// The version of the module that wrote its entries, kept in the metadata as "version" for the
  /// path "" and "version:<path>" for others. None if it was not written or is not a number.
  [[nodiscard]] std::optional<std::int64_t> version(std::string_view module_path) const;
  void set_version(std::string_view module_path, std::int64_t version);

 private:
  void index_from(std::size_t first);

  std::vector<Entry> entries_;
  std::map<std::string, std::size_t, std::less<>> places_;
  std::map<std::string, std::string> metadata_;
};

/// Writes a safetensors file, which Python's `safetensors` package opens. The tensors are copied
/// as they are now; any strides. `path` means the file that the operating system would open:
///
/// - A regular file, or a name that is free, gets the new file whole or not at all: it is written
///   beside its place under a name of its own, flushed to the disk and renamed. An interrupted save
///   leaves the old file as it was. A new file has the mode that the umask leaves; one that was
///   there keeps its mode, and its owner and group where the caller may give files to them. Other
///   hard links to the old file keep the old contents.
/// - A symbolic link stays one: its target is written, and made if it is not there.
/// - A device or a FIFO is written to, and is not replaced. A file that the caller may not write,
///   or that has no write permission at all, a socket and a directory are refused.
///
/// A save that the process's end interrupts leaves a file `.halnorm-*` in the folder, which the
/// next save to the same path removes.
///
/// Of global tensors rank 0 writes the file, and all ranks return when it is there, or throw.
/// @throws ValueError for an undefined tensor, a name that is not UTF-8 or is "__metadata__", a
/// path
///         that is empty or holds a NUL, a file without any write permission;
///         Error if the file system refuses, with its reason.
void save(const StateDict& state, const std::filesystem::path& path);
/// The same bytes to a stream. Exceptions that the stream is set to throw are not thrown.
/// @throws Error if the stream fails.
void save(const StateDict& state, std::ostream& stream);

struct LoadOptions {
  /// Leaves out tensors whose values no DType holds, rather than throwing.
  bool skip_unsupported = false;
};

/// Reads a safetensors file: its tensors in the order of its header. F16, BF16, F32, F64 and I64
/// keep their dtype; BOOL, I8, U8, I16, U16, I32, U32 and U64 load as Int64. Elements need no
/// alignment.
///
/// Takes the files that the reference implementation takes, and refuses those that it refuses. Only
/// these are refused in addition: a tensor of more than 64 axes, or an empty one whose strides do
/// not fit in 63 bits, which numpy cannot hold either; an entry that is an array, or a dtype that
/// is an object, which the format does not define.
///
/// Nothing is believed: the memory taken, the result included, is at most 32 times the size of the
/// file and 1 MiB, whatever the header says.
/// @throws LoadError that names the file and says what is wrong with it: it is missing or cut off;
///         its header is not JSON of the format; a tensor lies outside of the data, overlaps
///         another, leaves a gap or has another size than its shape; a tensor is F8_E4M3 or of
///         another dtype that no DType holds, or is U64 with a value above 2^63 - 1, and is not to
///         be skipped. Of .pt, .pth, .h5, .keras and .onnx it says how they are converted.
StateDict load(const std::filesystem::path& path, LoadOptions options = {});
/// The same from a stream, which has to end where the file does. The header is checked before the
/// data is read, and one byte behind the file is looked for. Exceptions that the stream is set to
/// throw are not thrown.
StateDict load(std::istream& stream, LoadOptions options = {});
/// The same from memory.
StateDict load(std::span<const std::byte> bytes, LoadOptions options = {});

}  // namespace halnorm

#pragma GCC visibility pop
