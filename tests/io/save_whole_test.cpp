#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "nn/fixture.h"
#include "support/child_process.h"
#include "support/saved_bytes.h"
#include "support/temporary_folder.h"
#include "support/throws.h"

/// @file
/// After a save the file is either the complete old one or the complete new one, even if the save
/// is interrupted.

using fixture::tensor;
using fixture::values;
using halnorm::Error;
using halnorm::StateDict;
using halnorm::Tensor;

namespace {

namespace fs = std::filesystem;

/// Saves more than a file may hold, in a child process, so that the limit holds only there. With
/// `die`, the signal of the limit ends the process in the middle of the write.
int save_too_much(const fs::path& path, bool die) {
  return exit_status_of_child([&] {
    const rlimit size{4096, 4096};
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_FSIZE, &size);
    ::setrlimit(RLIMIT_CORE, &no_core);
    std::signal(SIGXFSZ, die ? SIG_DFL : SIG_IGN);
    expect_throws<Error>(
        [&] {
          halnorm::save({{"large", Tensor::zeros({100000})}}, path);
        },
        {path.string(), "write", "File too large"});
    return ::testing::Test::HasFailure() ? 2 : 0;
  });
}

class SaveWhole : public TemporaryFolder {
 protected:
  void SetUp() override {
    TemporaryFolder::SetUp();
    path = folder / "model.safetensors";
    halnorm::save(old, path);
  }

  void expect_old() const { EXPECT_EQ(contents_of(path), bytes_of(old)); }

  /// The temporary files in the folder.
  [[nodiscard]] std::vector<fs::path> temporaries() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().filename().string().starts_with(".halnorm-")) {
        found.push_back(entry.path());
      }
    }
    return found;
  }

  const StateDict old = {{"a", tensor({1})}};
  fs::path path;
};

}  // namespace

TEST_F(SaveWhole, WhatCannotBeSavedChangesNothing) {
  expect_throws<halnorm::ValueError>([&] { halnorm::save({{"b", Tensor()}}, path); }, {"'b'"});
  expect_old();
  EXPECT_EQ(files(), 1U);
}

TEST_F(SaveWhole, AFailedWriteLeavesTheOldFileAndNoOther) {
  EXPECT_EQ(save_too_much(path, false), 0);
  expect_old();
  EXPECT_EQ(files(), 1U);
  EXPECT_EQ(save_too_much(folder / "new", false), 0);
  EXPECT_EQ(files(), 1U);
}

TEST_F(SaveWhole, AFullDiskLeavesTheOldFileAndNoOther) {
  const fs::path disk = folder / "disk";
  fs::create_directory(disk);
  constexpr int may_not_mount = 77;
  const int status = exit_status_of_child([&] {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=256k") != 0) {
      return may_not_mount;
    }
    halnorm::save(old, disk / "a");
    expect_throws<Error>(
        [&] {
          halnorm::save({{"a", Tensor::zeros({100000})}}, disk / "a");
        },
        {"write", "No space left"});
    EXPECT_EQ(contents_of(disk / "a"), bytes_of(old));
    EXPECT_EQ(std::distance(fs::directory_iterator(disk), fs::directory_iterator()), 1);
    halnorm::save({{"a", Tensor::zeros({10000})}}, disk / "a");
    return ::testing::Test::HasFailure() ? 2 : 0;
  });
  if (WIFEXITED(status) && WEXITSTATUS(status) == may_not_mount) {
    GTEST_SKIP() << "this user may not mount a small disk";
  }
  EXPECT_EQ(status, 0);
}

TEST_F(SaveWhole, AKilledSaveLeavesATemporaryThatTheNextRemoves) {
  const int status = save_too_much(path, true);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
  expect_old();
  ASSERT_EQ(temporaries().size(), 1U);
  halnorm::save(old, folder / "another");
  EXPECT_EQ(temporaries().size(), 1U) << "it is of another file";
  halnorm::save(old, path);
  EXPECT_TRUE(temporaries().empty());
  expect_old();
}

TEST_F(SaveWhole, TheTemporaryOfALivingSaveStays) {
  EXPECT_TRUE(WIFSIGNALED(save_too_much(path, true)));
  ASSERT_EQ(temporaries().size(), 1U);
  const int writer = ::open(temporaries().front().c_str(), O_WRONLY);
  ASSERT_EQ(::flock(writer, LOCK_EX), 0) << "as its writer holds it";
  halnorm::save(old, path);
  EXPECT_EQ(temporaries().size(), 1U);
  ::close(writer);
  halnorm::save(old, path);
  EXPECT_TRUE(temporaries().empty());
}

TEST_F(SaveWhole, SignalsInterruptNoWrite) {
  const fs::path fifo = folder / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const StateDict large = {{"a", Tensor::randn({1000000}, 1)}};
  EXPECT_EQ(exit_status_of_child([&] {
              struct sigaction action {};
              action.sa_handler = [](int) {};  // without SA_RESTART
              ::sigaction(SIGALRM, &action, nullptr);
              std::string got;
              std::thread reader([&] {
                sigset_t alarm;
                ::sigemptyset(&alarm);
                ::sigaddset(&alarm, SIGALRM);
                ::pthread_sigmask(SIG_BLOCK, &alarm, nullptr);  // the writer gets them all
                got = bytes_read(fifo, std::chrono::milliseconds(2));
              });
              const itimerval often{{0, 500}, {0, 500}};
              ::setitimer(ITIMER_REAL, &often, nullptr);
              halnorm::save(large, fifo);
              halnorm::save(large, folder / "file");
              const itimerval never{};
              ::setitimer(ITIMER_REAL, &never, nullptr);
              reader.join();
              return got == bytes_of(large) && contents_of(folder / "file") == got ? 0 : 2;
            }),
            0);
}

TEST_F(SaveWhole, OfSavesAtOnceOneWins) {
  constexpr int writers = 8;
  constexpr int saves = 25;
  const auto state_of = [](int writer) {
    const StateDict state = {{"a", Tensor::full({std::int64_t{1000} * (writer + 1)}, writer)}};
    return state;
  };
  const auto save_often = [&](int writer) {
    for (int i = 0; i < saves; ++i) {
      halnorm::save(state_of(writer), path);
    }
  };
  halnorm::save(state_of(0), path);
  std::vector<pid_t> children;  // before there are threads, whose locks they would inherit
  for (int writer = writers / 2; writer < writers; ++writer) {
    children.push_back(start_child([&] {
      save_often(writer);
      return 0;
    }));
  }
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done) {
      const auto got = values(halnorm::load(path).at("a"));
      EXPECT_EQ(got, std::vector<double>(got.size(), static_cast<double>(got.size()) / 1000 - 1));
    }
  });
  std::vector<std::thread> threads;
  for (int writer = 0; writer < writers / 2; ++writer) {
    threads.emplace_back([&, writer] { save_often(writer); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const pid_t child : children) {
    EXPECT_EQ(status_of_child(child), 0);
  }
  done = true;
  reader.join();
  EXPECT_EQ(files(), 1U);
}
