#include "io/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <system_error>
#include <utility>

#include "halnorm/error.h"
#include "io/temporary_file.h"

namespace halnorm::HALNORM_ABI::safetensors {

namespace {

/// While it lives, a pipe that nobody reads any more is an error of write() and no signal to this
/// thread.
class NoPipeSignal {
 public:
  NoPipeSignal() noexcept {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoPipeSignal() {
    const timespec at_once{};
    while (!was_pending_ && ::sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoPipeSignal(const NoPipeSignal&) = delete;
  NoPipeSignal& operator=(const NoPipeSignal&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

/// Repeats a call that a signal interrupts.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) {
    result = call();
  }
  return result;
}

Descriptor open_file(const char* path, int flags) {
  return Descriptor(uninterrupted([&] { return ::open(path, flags | O_CLOEXEC | O_NOCTTY); }));
}

void check_path(const std::string& path) {
  if (path.empty()) {
    throw ValueError("save: got an empty path, wanted a file's");
  }
  if (const std::size_t nul = path.find('\0'); nul != std::string::npos) {
    throw ValueError("save: got a path with a NUL behind '" + path.substr(0, nul) +
                     "', wanted one without");
  }
}

/// A regular file that has a name. One without is open and was removed: /proc/self/fd leads to it.
bool is_replaceable(const struct stat& file) noexcept {
  return S_ISREG(file.st_mode) && file.st_nlink > 0;
}

}  // namespace

Descriptor::~Descriptor() {
  if (is_open()) {
    ::close(number_);
  }
}

// The other constructor comes first, so that the destructor runs if the body throws.
OutputFile::OutputFile(const std::filesystem::path& path) : OutputFile(Named{path.native()}) {
  check_path(path_);
  struct stat existing {};
  bool exists = false;
  for (int tries = 0;; ++tries) {
    exists = ::stat(path_.c_str(), &existing) == 0;
    if (!exists && errno != ENOENT) {
      fail("stat", errno);
    }
    if (!exists || is_replaceable(existing)) {
      break;
    }
    if (open_in_place(existing)) {
      return;
    }
    constexpr int most = 10000;
    if (tries == most) {
      fail("open", ESTALE);
    }
  }
  if (!exists) {
    constexpr mode_t mode = 0666;  // less the umask, as for any new file
    open_beside(target(), mode);
    return;
  }
  require_writable(existing);
  constexpr mode_t owner_alone = 0600;  // until it has the old file's owner
  open_beside(target(), owner_alone);
  take_over(existing);
}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) {
    ::unlinkat(folder_.get(), temporary_.c_str(), 0);
  }
}

/// False if the path may mean a file that is replaced rather than written to: a file that another
/// save has just replaced has no name either. /proc/self/fd leads to a name that is not there.
bool OutputFile::open_in_place(const struct stat& existing) {
  struct stat named {};
  if (S_ISREG(existing.st_mode) && ::lstat(target().c_str(), &named) == 0) {
    return false;
  }
  Descriptor file = open_file(path_.c_str(), O_WRONLY);
  if (!file.is_open()) {
    if (errno != ENOENT) {
      fail("open", errno);
    }
    return false;
  }
  struct stat opened {};
  if (::fstat(file.get(), &opened) != 0) {
    fail("fstat", errno);
  }
  if (opened.st_dev != existing.st_dev || opened.st_ino != existing.st_ino) {
    return false;
  }
  if (S_ISREG(opened.st_mode) && ::ftruncate(file.get(), 0) != 0) {
    fail("ftruncate", errno);
  }
  file_ = std::move(file);
  return true;
}

void OutputFile::fail(const char* what, int error) const {
  throw Error("save: '" + path_ + "': " + what + ": " + std::generic_category().message(error));
}

/// The path without symbolic links as its last part, which a rename would replace.
std::filesystem::path OutputFile::target() const {
  constexpr int most = 40;  // as many as Linux follows
  std::filesystem::path path = path_;
  for (int links = 0; links <= most; ++links) {
    std::error_code not_a_link;
    const auto meant = std::filesystem::read_symlink(path, not_a_link);
    if (not_a_link) {
      return path;
    }
    path = path.parent_path() / meant;
  }
  fail("open", ELOOP);
}

/// A rename asks for no permission of the file itself.
void OutputFile::require_writable(const struct stat& existing) const {
  if ((existing.st_mode & (S_IWUSR | S_IWGRP | S_IWOTH)) == 0) {
    throw ValueError("save: got '" + path_ + "', a file without any write permission, wanted one " +
                     "that may be written");
  }
  if (!open_file(path_.c_str(), O_WRONLY | O_NONBLOCK).is_open()) {
    fail("open", errno);
  }
}

void OutputFile::open_beside(const std::filesystem::path& target, mode_t mode) {
  const auto parent = target.parent_path();
  folder_ = open_file(parent.empty() ? "." : parent.c_str(), O_PATH | O_DIRECTORY);
  if (!folder_.is_open()) {
    fail("open", errno);
  }
  name_ = target.filename().native();
  const std::string prefix = temporary_prefix(name_);
  remove_abandoned(folder_.get(), prefix);
  file_ = make_temporary(folder_.get(), prefix, mode, temporary_);
  if (!file_.is_open()) {
    fail("open", errno);
  }
}

/// Gives the new file the old one's owner, group and mode. If the group cannot be kept, its rights
/// do not pass to another group.
void OutputFile::take_over(const struct stat& existing) const {
  constexpr mode_t all_bits = 07777;
  mode_t mode = existing.st_mode & all_bits;
  if (::fchown(file_.get(), existing.st_uid, existing.st_gid) != 0) {
    mode &= ~static_cast<mode_t>(S_ISUID | S_ISGID);
    if (::fchown(file_.get(), static_cast<uid_t>(-1), existing.st_gid) != 0) {
      mode = (mode & ~static_cast<mode_t>(S_IRWXG)) | ((mode & S_IRWXO) << 3);
    }
  }
  if (::fchmod(file_.get(), mode) != 0) {
    fail("chmod", errno);
  }
}

void OutputFile::write(const void* data, std::size_t count) {
  const NoPipeSignal guard;
  const auto* next = static_cast<const std::byte*>(data);
  while (count > 0) {
    const ssize_t written = uninterrupted([&] { return ::write(file_.get(), next, count); });
    if (written <= 0) {
      fail("write", written < 0 ? errno : EIO);
    }
    next += written;
    count -= static_cast<std::size_t>(written);
  }
}

void OutputFile::commit() {
  const bool direct = temporary_.empty();
  if (uninterrupted([&] { return ::fsync(file_.get()); }) != 0) {
    const bool nothing_to_flush = direct && (errno == EINVAL || errno == ENOTSUP);  // pipes
    if (!nothing_to_flush) {
      fail("fsync", errno);
    }
  }
  if (direct) {
    if (::close(file_.release()) != 0 && errno != EINTR) {
      fail("close", errno);
    }
    return;
  }
  // Its lock stays until it has its name, so that no other save removes it.
  if (::renameat(folder_.get(), temporary_.c_str(), folder_.get(), name_.c_str()) != 0) {
    fail("rename", errno);
  }
  temporary_.clear();
  // Makes the rename last through a power failure. A file system that cannot do that has the file
  // all the same, so the result does not matter.
  const Descriptor folder(::openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.is_open()) {
    static_cast<void>(::fsync(folder.get()));
  }
}

}  // namespace halnorm::HALNORM_ABI::safetensors
