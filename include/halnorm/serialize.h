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

namespace halnorm::HALNORM_ABI {

/// A map from names to tensors in the order of insertion, and string metadata. A copy shares the
/// tensors.
class StateDict {
 public:
  using Entry = std::pair<std::string, Tensor>;               ///< a name and its tensor
  using const_iterator = std::vector<Entry>::const_iterator;  ///< over entries, in their order

  StateDict() = default;
  /// The entries in this order; for a name that occurs twice the later tensor.
  StateDict(std::initializer_list<Entry> entries);

  /// Appends an entry, or replaces the tensor of an existing one, which keeps its place.
  void set(std::string name, Tensor tensor);
  /// Removes an entry; false if it does not exist.
  bool erase(std::string_view name);
  /// Renames an entry, which keeps its place; an entry that had the name `to` is removed. False if
  /// there is no entry `from`.
  bool rename(std::string_view from, std::string to);

  /// Whether there is an entry of this name.
  [[nodiscard]] bool contains(std::string_view name) const { return find(name) != nullptr; }
  /// The tensor of this name, or null; valid until the dictionary changes.
  [[nodiscard]] const Tensor* find(std::string_view name) const;
  /// The tensor of this name. @throws ValueError if there is none.
  [[nodiscard]] const Tensor& at(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> names() const;  ///< in the order of entries
  /// The first name, in byte order, that is not less than `bound`; null if there is none.
  [[nodiscard]] const std::string* first_name_from(std::string_view bound) const;

  /// Number and range of the entries.
  /// @{
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] const_iterator begin() const noexcept { return entries_.begin(); }
  [[nodiscard]] const_iterator end() const noexcept { return entries_.end(); }
  /// @}

  /// Texts by name; save() and load() keep them.
  /// @{
  [[nodiscard]] std::map<std::string, std::string>& metadata() noexcept { return metadata_; }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const noexcept {
    return metadata_;
  }
  /// @}

  /// The version of the module that wrote its entries. It is in the metadata as "version" for the
  /// path "" and as "version:<path>" for others. None if it is missing or not a number.
  [[nodiscard]] std::optional<std::int64_t> version(std::string_view module_path) const;
  /// Stores the version of the module at this path.
  void set_version(std::string_view module_path, std::int64_t version);

 private:
  void index_from(std::size_t first);

  std::vector<Entry> entries_;
  std::map<std::string, std::size_t, std::less<>> places_;
  std::map<std::string, std::string> metadata_;
};

/// Writes a safetensors file, which Python's `safetensors` package opens. Tensors may have any
/// strides. `path` names the file that the operating system would open:
///
/// - A regular file, or a path that does not exist: the file is replaced atomically. The new file
///   is written under a temporary name in the same folder, flushed to the disk and renamed. An
///   interrupted save leaves the old file unchanged. A new file has the mode that the umask gives.
///   A replaced file keeps its mode, and its owner and group if the caller may set them. Other hard
///   links to the old file keep the old contents.
/// - A symbolic link: the link stays, and its target is written, or created if it does not exist.
/// - A device or a FIFO: the bytes are written to it. A socket, a directory, a file that the caller
///   may not write and a file without any write permission are errors.
///
/// If the process ends during a save, a file `.halnorm-*` remains in the folder. The next save to
/// the same path removes that file.
///
/// If tensors are global, rank 0 writes the file. All ranks return after the file is complete, or
/// throw.
/// @throws ValueError for an undefined tensor, a name that is not UTF-8 or is "__metadata__", a
///         path that is empty or contains a NUL, and a file without any write permission;
///         Error with the system's reason if the file system refuses.
void save(const StateDict& state, const std::filesystem::path& path);
/// Writes the same bytes to a stream. The exceptions that the stream is set to throw are not
/// thrown.
/// @throws Error if the stream fails.
void save(const StateDict& state, std::ostream& stream);

/// Settings of load().
struct LoadOptions {
  /// If true, tensors of a dtype that no DType can represent are left out; if false, they are an
  /// error.
  bool skip_unsupported = false;
};

/// Reads a safetensors file. The entries are in the order of the file's header. F16, BF16, F32, F64
/// and I64 keep their dtype; BOOL, I8, U8, I16, U16, I32, U32 and U64 load as Int64. The data needs
/// no alignment.
///
/// load() accepts the files that the reference implementation of safetensors accepts, with four
/// exceptions. numpy cannot represent a tensor of more than 64 axes, nor an empty one whose strides
/// do not fit in 63 bits. The format does not define an entry that is an array, nor a dtype that is
/// an object.
///
/// The file may be hostile: load() uses at most 32 times the size of the file plus 1 MiB of memory,
/// the result included, for any header.
/// @throws LoadError that names the file and the fault: the file is missing or truncated; the
///         header is not JSON of the format; a tensor lies outside of the data, overlaps another,
///         leaves a gap, or has another size than its shape; and, unless skipped, a tensor of
///         F8_E4M3 or of another dtype that no DType can represent, or of U64 with a value above
///         2^63 - 1. For .pt, .pth, .h5, .keras and .onnx files the message names a converter.
StateDict load(const std::filesystem::path& path, LoadOptions options = {});
/// Reads from a stream, which must end at the end of the file: load() checks the header before it
/// reads the data, and tries to read one byte after the data. The exceptions that the stream is set
/// to throw are not thrown.
StateDict load(std::istream& stream, LoadOptions options = {});
/// Reads from memory.
StateDict load(std::span<const std::byte> bytes, LoadOptions options = {});

}  // namespace halnorm::HALNORM_ABI

#pragma GCC visibility pop
