#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <string>
#include <thread>

#include "nn/fixture.h"
#include "support/child_process.h"
#include "support/saved_bytes.h"
#include "support/temporary_folder.h"
#include "support/throws.h"

/// @file
/// A save writes the file that the operating system would open, and replaces regular files alone.

using fixture::tensor;
using halnorm::Error;
using halnorm::StateDict;
using halnorm::Tensor;
using halnorm::ValueError;

namespace {

namespace fs = std::filesystem;

constexpr uid_t nobody = 65534;

struct stat status_of(const fs::path& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status;
}

mode_t mode_of(const fs::path& path) { return status_of(path).st_mode & 07777; }

class SaveTarget : public TemporaryFolder {
 protected:
  /// A node that the test makes, because a wrong save replaces its node. Users who may not make
  /// nodes get the machine's node, which they may not replace.
  [[nodiscard]] fs::path device(const std::string& name, unsigned minor) const {
    const fs::path path = folder / name;
    return ::mknod(path.c_str(), S_IFCHR | 0666, makedev(1, minor)) == 0 ? path
                                                                         : "/dev" / fs::path(name);
  }

  const StateDict one = {{"a", tensor({1})}};
  const StateDict two = {{"a", tensor({2})}};
};

}  // namespace

TEST_F(SaveTarget, AFileKeepsItsMode) {
  const fs::path path = folder / "file";
  const mode_t before = ::umask(022);
  halnorm::save(one, path);
  EXPECT_EQ(mode_of(path), 0644U);
  ::umask(027);
  halnorm::save(one, folder / "other");
  EXPECT_EQ(mode_of(folder / "other"), 0640U) << "as the umask wants it";
  for (const mode_t mode : {0600U, 0640U, 0666U, 0755U, 0200U, 04755U}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    halnorm::save(two, path);
    EXPECT_EQ(mode_of(path), mode);
  }
  EXPECT_EQ(::umask(before), 027U) << "the process's umask is its own";
  EXPECT_EQ(contents_of(path), bytes_of(two));
  EXPECT_EQ(files(), 2U);
}

TEST_F(SaveTarget, AFileKeepsItsOwner) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "nobody but root may give files away";
  }
  const fs::path path = folder / "file";
  halnorm::save(one, path);
  ASSERT_EQ(::chown(path.c_str(), nobody, 1234), 0);
  halnorm::save(two, path);
  EXPECT_EQ(status_of(path).st_uid, nobody);
  EXPECT_EQ(status_of(path).st_gid, 1234U);
  // The new owner is in another group, which must not get the rights of group 1234.
  ASSERT_EQ(::chmod(path.c_str(), 0664), 0);
  ASSERT_EQ(::chown(folder.c_str(), nobody, nobody), 0);
  EXPECT_EQ(exit_status_of_child([&] {
              const bool dropped = ::setgid(nobody) == 0 && ::setuid(nobody) == 0;
              halnorm::save(one, path);
              return dropped ? 0 : 2;
            }),
            0);
  EXPECT_EQ(contents_of(path), bytes_of(one));
  EXPECT_EQ(status_of(path).st_gid, nobody);
  EXPECT_EQ(mode_of(path), 0644U);
}

TEST_F(SaveTarget, AFileThatMayNotBeWrittenIsRefused) {
  const fs::path path = folder / "file";
  halnorm::save(one, path);
  const auto node = status_of(path).st_ino;
  fs::create_symlink("file", folder / "link");
  for (const mode_t mode : {0444U, 0400U, 0555U, 0U}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    expect_throws<ValueError>([&] { halnorm::save(two, path); },
                              {"save", path.string(), "write permission"});
    EXPECT_THROW(halnorm::save(two, folder / "link"), ValueError);
    EXPECT_EQ(mode_of(path), mode);
  }
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chmod(folder.c_str(), 0777), 0);
    EXPECT_EQ(exit_status_of_child([&] {
                const bool dropped = ::setgid(nobody) == 0 && ::setuid(nobody) == 0;
                expect_throws<Error>([&] { halnorm::save(two, path); }, {"Permission denied"});
                return dropped && !::testing::Test::HasFailure() ? 0 : 2;
              }),
              0)
        << "another user's";
  }
  EXPECT_EQ(status_of(path).st_ino, node);
  EXPECT_EQ(contents_of(path), bytes_of(one));
  EXPECT_EQ(files(), 2U);
}

TEST_F(SaveTarget, ASymbolicLinkStaysOne) {
  fs::create_directory(folder / "a");
  fs::create_directory(folder / "b");
  fs::create_symlink("../b/last", folder / "a" / "next");  // relative to its own folder
  fs::create_symlink("a/next", folder / "first");
  fs::create_symlink(folder / "b" / "absolute", folder / "to_absolute");
  halnorm::save(one, folder / "first");
  EXPECT_EQ(contents_of(folder / "b" / "last"), bytes_of(one)) << "the target was not there";
  ASSERT_EQ(::chmod((folder / "b" / "last").c_str(), 0600), 0);
  halnorm::save(two, folder / "first");
  EXPECT_EQ(contents_of(folder / "b" / "last"), bytes_of(two));
  EXPECT_EQ(mode_of(folder / "b" / "last"), 0600U);
  halnorm::save(two, folder / "to_absolute");
  EXPECT_EQ(contents_of(folder / "b" / "absolute"), bytes_of(two));
  EXPECT_EQ(fs::read_symlink(folder / "first"), "a/next");
  EXPECT_EQ(fs::read_symlink(folder / "a" / "next"), "../b/last");
  EXPECT_EQ(fs::read_symlink(folder / "to_absolute"), folder / "b" / "absolute");
  EXPECT_EQ(files(), 4U);
}

TEST_F(SaveTarget, LinksThatLeadNowhereAreErrors) {
  fs::create_symlink("there", folder / "here");
  fs::create_symlink("here", folder / "there");
  expect_throws<Error>([&] { halnorm::save(one, folder / "here"); }, {"here", "symbolic links"});
  fs::create_symlink("missing/file", folder / "link");
  expect_throws<Error>([&] { halnorm::save(one, folder / "link"); }, {"link", "No such file"});
  fs::create_symlink(".", folder / "self");
  expect_throws<Error>([&] { halnorm::save(one, folder / "self"); }, {"self", "directory"});
  EXPECT_EQ(files(), 4U);
}

TEST_F(SaveTarget, AnotherHardLinkKeepsTheOldContents) {
  halnorm::save(one, folder / "file");
  fs::create_hard_link(folder / "file", folder / "other");
  halnorm::save(two, folder / "file");
  EXPECT_EQ(contents_of(folder / "file"), bytes_of(two));
  EXPECT_EQ(contents_of(folder / "other"), bytes_of(one));
}

TEST_F(SaveTarget, ADeviceIsWrittenToAndStays) {
  const fs::path null = device("null", 3);
  const fs::path full = device("full", 7);
  fs::create_symlink(null, folder / "link");
  halnorm::save(one, null);
  halnorm::save(one, folder / "link");
  expect_throws<Error>([&] { halnorm::save(one, full); }, {full.string(), "No space left"});
  EXPECT_TRUE(S_ISCHR(status_of(null).st_mode));
  EXPECT_TRUE(S_ISCHR(status_of(full).st_mode));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
}

TEST_F(SaveTarget, AFifoIsWrittenToAndStays) {
  const fs::path fifo = folder / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const StateDict large = {{"a", Tensor::randn({1000000}, 1)}};
  std::string got;
  std::thread reader([&] { got = bytes_read(fifo, {}); });
  halnorm::save(large, fifo);
  reader.join();
  EXPECT_TRUE(got == bytes_of(large));
  EXPECT_TRUE(S_ISFIFO(status_of(fifo).st_mode));
  int ends[2] = {};
  ASSERT_EQ(::pipe(ends), 0);
  halnorm::save(one, "/dev/fd/" + std::to_string(ends[1]));  // a link that is no path of a file
  std::string piped(bytes_of(one).size(), '\0');
  EXPECT_EQ(::read(ends[0], piped.data(), piped.size()), static_cast<ssize_t>(piped.size()));
  EXPECT_EQ(piped, bytes_of(one));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(SaveTarget, AReaderThatLeavesIsAnErrorAndNoSignal) {
  const fs::path fifo = folder / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  std::thread reader([&] { ::close(::open(fifo.c_str(), O_RDONLY)); });
  const StateDict large = {{"a", Tensor::zeros({1000000})}};
  expect_throws<Error>([&] { halnorm::save(large, fifo); }, {fifo.string(), "Broken pipe"});
  reader.join();
  sigset_t mask;
  sigset_t pending;
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, nullptr, &mask), 0);
  ASSERT_EQ(::sigpending(&pending), 0);
  EXPECT_EQ(::sigismember(&mask, SIGPIPE), 0);
  EXPECT_EQ(::sigismember(&pending, SIGPIPE), 0);
}

TEST_F(SaveTarget, ASocketIsRefusedAndStays) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const fs::path path = folder / "socket";
  ASSERT_LT(path.native().size(), sizeof address.sun_path);
  std::strcpy(address.sun_path, path.c_str());
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  expect_throws<Error>([&] { halnorm::save(one, path); }, {path.string(), "open"});
  EXPECT_TRUE(S_ISSOCK(status_of(path).st_mode));
  ::close(socket);
}

TEST_F(SaveTarget, NamesMayBeAsLongAsTheFileSystemAllows) {
  for (const std::size_t length : {1U, 243U, 244U, 250U, 255U}) {
    const fs::path path = folder / std::string(length, 'n');
    halnorm::save(one, path);
    halnorm::save(two, path);
    EXPECT_EQ(contents_of(path), bytes_of(two)) << length;
  }
  EXPECT_EQ(files(), 5U);
  expect_throws<Error>([&] { halnorm::save(one, folder / std::string(256, 'n')); },
                       {"File name too long"});
}

TEST_F(SaveTarget, PathsThatMeanNoFileAreErrorsAtOnce) {
  const std::string nul = (folder / "a").string() + std::string("\0b", 2);
  expect_throws<ValueError>([&] { halnorm::save(one, fs::path(nul)); }, {"save", "NUL"});
  expect_throws<ValueError>([&] { halnorm::save(one, fs::path()); }, {"save", "empty path"});
  expect_throws<Error>([&] { halnorm::save(one, folder / "missing" / "a"); }, {"No such file"});
  expect_throws<Error>([&] { halnorm::save(one, folder / "missing" / ""); }, {"No such file"});
  halnorm::save(one, folder / "file");
  expect_throws<Error>([&] { halnorm::save(one, folder / "file" / ""); }, {"Not a directory"});
  expect_throws<Error>([&] { halnorm::save(one, folder / "file" / "a"); }, {"Not a directory"});
  expect_throws<Error>([&] { halnorm::save(one, folder); }, {"directory"});
  EXPECT_EQ(files(), 1U);
}
