#include "io/temporary_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string_view>

namespace halnorm::HALNORM_ABI::safetensors {

namespace {

/// Whether a regular file still has a name.
bool is_linked(int file) noexcept {
  struct stat status {};
  return ::fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink > 0;
}

/// False if another process has the lock. A file system without locks gives it to everybody here,
/// and to nobody in remove_abandoned.
bool lock(int file) noexcept {
  return ::flock(file, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

}  // namespace

/// The name's FNV-1a hash, since the name itself may be as long as names can be.
std::string temporary_prefix(const std::string& name) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char letter : name) {
    hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
  }
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text = ".halnorm-";
  for (int shift = 60; shift >= 0; shift -= 4) {
    text += digits[(hash >> shift) & 0xf];
  }
  return text + "-";
}

Descriptor make_temporary(int folder, const std::string& prefix, mode_t mode, std::string& name) {
  static std::atomic<unsigned> counter = 0;
  while (true) {
    const std::string next =
        prefix + std::to_string(::getpid()) + "-" + std::to_string(counter.fetch_add(1));
    Descriptor file(::openat(folder, next.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (file.is_open()) {
      if (lock(file.get()) && is_linked(file.get())) {
        name = next;
        return file;
      }
      // Another save took the file for an abandoned one before it was locked.
      ::unlinkat(folder, next.c_str(), 0);
    } else if (errno != EEXIST && errno != EINTR) {
      return file;
    }
  }
}

void remove_abandoned(int folder, const std::string& prefix) {
  Descriptor list(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> names(
      list.is_open() ? ::fdopendir(list.get()) : nullptr, &::closedir);
  if (!names) {
    return;  // a folder that can be written to and not listed
  }
  list.release();
  while (const dirent* const entry = ::readdir(names.get())) {
    if (!std::string_view(entry->d_name).starts_with(prefix)) {
      continue;
    }
    const Descriptor file(
        ::openat(folder, entry->d_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    // Once the lock is ours, a file without a name was removed by another save, and the name may
    // belong to a new file.
    if (file.is_open() && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0 && is_linked(file.get())) {
      ::unlinkat(folder, entry->d_name, 0);
    }
  }
}

}  // namespace halnorm::HALNORM_ABI::safetensors
