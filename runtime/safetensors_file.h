#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace halnorm::safetensors {

/// A file that appears under its name whole or not at all. It is written beside its place under
/// another name; commit() flushes it to the disk and renames it, and without a commit it is
/// removed. @throws Error with the file system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t count);
  void commit();

 private:
  void open_beside();
  [[noreturn]] void fail(const char* what, int error) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
};

}  // namespace halnorm::safetensors
