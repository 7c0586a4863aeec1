#include "safetensors_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "halnorm/error.h"

namespace halnorm::safetensors {

namespace {

/// Makes a rename in this directory last through a power failure. A file system that cannot do
/// that still has the file, so the result does not matter.
void flush_directory(const std::filesystem::path& directory) {
  const int descriptor =
      ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0) {
    static_cast<void>(::fsync(descriptor));
    ::close(descriptor);
  }
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code unknown;
  if (std::filesystem::is_symlink(path_, unknown)) {  // the file it means, not the link
    const auto target = std::filesystem::weakly_canonical(path_, unknown);
    path_ = unknown ? path_ : target;
  }
  if (std::filesystem::is_directory(path_, unknown)) {
    fail("open", EISDIR);
  }
  open_beside();
}

void AtomicFile::open_beside() {
  static std::atomic<unsigned> counter = 0;
  constexpr int mode = 0666;  // less the umask, as for any new file
  do {
    temporary_ = path_;
    temporary_ += ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  } while (descriptor_ < 0 && errno == EEXIST);
  if (descriptor_ < 0) {
    fail("open", errno);
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
  if (!temporary_.empty()) {
    ::unlink(temporary_.c_str());
  }
}

void AtomicFile::fail(const char* what, int error) const {
  throw Error("save: '" + path_.string() + "': " + what + ": " +
              std::generic_category().message(error));
}

void AtomicFile::write(const void* data, std::size_t count) {
  const auto* next = static_cast<const std::byte*>(data);
  while (count > 0) {
    const ssize_t written = ::write(descriptor_, next, count);
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      fail("write", errno);
    }
    next += written;
    count -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) {
    fail("fsync", errno);
  }
  if (::close(std::exchange(descriptor_, -1)) != 0) {
    fail("close", errno);
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail("rename", errno);
  }
  temporary_.clear();
  flush_directory(path_.parent_path());
}

}  // namespace halnorm::safetensors
