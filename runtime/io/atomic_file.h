#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>

#include "halnorm/version.h"

namespace halnorm::HALNORM_ABI::safetensors {

/// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();

  [[nodiscard]] bool is_open() const noexcept { return number_ >= 0; }
  [[nodiscard]] int get() const noexcept { return number_; }
  int release() noexcept { return std::exchange(number_, -1); }

 private:
  int number_ = -1;
};

/// A file to be saved: the one that the operating system would open by a path.
///
/// A regular file, or one that does not exist, is replaced atomically. The contents are written to
/// a temporary file in the same folder; commit() flushes it to the disk and renames it. Without a
/// commit it is removed. A device or a FIFO is written directly.
/// @throws Error with the file system's reason; ValueError for a path that cannot name a file.
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(const void* data, std::size_t count);
  void commit();

 private:
  struct Named {
    std::string name;
  };
  explicit OutputFile(Named path) : path_(std::move(path.name)) {}

  [[nodiscard]] std::filesystem::path target() const;
  void require_writable(const struct stat& existing) const;
  bool open_in_place(const struct stat& existing);
  void open_beside(const std::filesystem::path& target, mode_t mode);
  void take_over(const struct stat& existing) const;
  [[noreturn]] void fail(const char* what, int error) const;

  std::string path_;       ///< as the caller gave it
  Descriptor folder_;      ///< of the target; not open if the target is written to directly
  std::string name_;       ///< of the target in its folder
  std::string temporary_;  ///< its name in the folder; empty if there is none
  Descriptor file_;        ///< the file that is written
};

}  // namespace halnorm::HALNORM_ABI::safetensors
