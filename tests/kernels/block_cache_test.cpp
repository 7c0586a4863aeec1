#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <thread>
#include <vector>

#include "halnorm/halnorm.h"
#include "support/child.h"
#include "support/throws.h"

using halnorm::cached_bytes;
using halnorm::DType;
using halnorm::empty_cache;
using halnorm::MemoryError;
using halnorm::set_cache_limit;
using halnorm::Tensor;
using halnorm::ValueError;

extern "C" int __lsan_is_turned_off() { return child::is_one ? 1 : 0; }  // NOLINT

namespace {

constexpr std::int64_t megabyte = std::int64_t{1} << 20;

Tensor of_megabytes(std::int64_t count) { return Tensor::empty({count * megabyte / 4}); }

class BlockCache : public ::testing::Test {
 protected:
  void SetUp() override {
    empty_cache();
    set_cache_limit(256 * megabyte);  // that of a 32-bit machine is less
  }
  void TearDown() override {
    set_cache_limit(halnorm::default_cache_limit);
    empty_cache();
  }
};

/// Pages of /proc/self/statm: all addresses, or those that have memory.
std::int64_t process_bytes(int column) {
  std::ifstream file("/proc/self/statm");
  std::int64_t pages = 0;
  for (int i = 0; i <= column; ++i) {
    file >> pages;
  }
  return pages * ::sysconf(_SC_PAGESIZE);
}

bool has_addresses(std::int64_t bytes) {
  const auto size = static_cast<std::size_t>(bytes);
  void* const at = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at != MAP_FAILED && ::munmap(at, size) == 0;
}

Tensor at_exit;

}  // namespace

TEST_F(BlockCache, TheNextTensorOfAboutTheSizeGetsTheBlock) {
  const void* first = nullptr;
  {
    const Tensor x = of_megabytes(4);
    first = x.raw_data();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 64, 0U);
    EXPECT_EQ(cached_bytes(), 0);
  }
  EXPECT_GE(cached_bytes(), 4 * megabyte);
  EXPECT_LE(cached_bytes(), 5 * megabyte);
  const Tensor other = of_megabytes(8);
  EXPECT_NE(other.raw_data(), first);
  const Tensor again = Tensor::empty({megabyte + 1000});
  EXPECT_EQ(again.raw_data(), first);
  EXPECT_EQ(cached_bytes(), 0);
}

TEST_F(BlockCache, SmallTensorsAreTheirThreads) {
  { const Tensor x = Tensor::empty({1000}); }
  EXPECT_EQ(cached_bytes(), 0);
}

TEST_F(BlockCache, AViewKeepsTheBlock) {
  Tensor row;
  {
    const Tensor x = Tensor::ones({4, megabyte});
    row = x.narrow(0, 3, 1);
  }
  EXPECT_EQ(cached_bytes(), 0);
  EXPECT_EQ(row.narrow(1, megabyte - 1, 1).item<float>(), 1);
  row = Tensor();
  EXPECT_GT(cached_bytes(), 0);
}

TEST_F(BlockCache, ALimitHoldsAndTheLongestUnusedGoFirst) {
  set_cache_limit(20 * megabyte);
  const void* newest = nullptr;
  for (const std::int64_t size : {4, 6, 8, 10}) {
    newest = of_megabytes(size).raw_data();
    EXPECT_LE(cached_bytes(), 20 * megabyte);
  }
  EXPECT_GE(cached_bytes(), 18 * megabyte) << "the last two have room";
  EXPECT_EQ(of_megabytes(10).raw_data(), newest);
  { const Tensor larger_than_all = of_megabytes(32); }
  EXPECT_GE(cached_bytes(), 18 * megabyte) << "it displaces nothing";
  set_cache_limit(12 * megabyte);
  EXPECT_LE(cached_bytes(), 12 * megabyte);
  EXPECT_EQ(of_megabytes(10).raw_data(), newest);
}

TEST_F(BlockCache, ALimitOfZeroKeepsNothing) {
  { const Tensor x = of_megabytes(4); }
  EXPECT_GT(cached_bytes(), 0);
  set_cache_limit(0);
  EXPECT_EQ(cached_bytes(), 0);
  { const Tensor x = of_megabytes(4); }
  EXPECT_EQ(cached_bytes(), 0);
  expect_throws<ValueError>([] { set_cache_limit(-1); }, {"set_cache_limit", "-1", "at least 0"});
}

TEST_F(BlockCache, EmptyCacheGivesTheMemoryBack) {
  { const Tensor x = Tensor::ones({16 * megabyte}); }
  const std::int64_t before = process_bytes(1);
  EXPECT_GE(cached_bytes(), 64 * megabyte);
  empty_cache();
  EXPECT_EQ(cached_bytes(), 0);
  EXPECT_LE(process_bytes(1), before - 60 * megabyte);
}

TEST_F(BlockCache, ResultsDoNotDependOnWhatABlockHeld) {
  const Tensor x = Tensor::randn({64, 16, 2048}, 1);
  const Tensor mean = Tensor::zeros({16});
  const Tensor var = Tensor::ones({16});
  const auto call = [&] {
    return halnorm::functional::batch_norm_infer(x, mean, var, {}, {}, 1e-5).to_vector<float>();
  };
  const auto want = call();
  Tensor::full({64, 16, 2048}, std::numeric_limits<double>::quiet_NaN());
  EXPECT_GT(cached_bytes(), 0);
  EXPECT_TRUE(call() == want);
}

TEST_F(BlockCache, MemoryThatRunsOutIsTakenFromTheCache) {
  child::expect_success([] {
    { const Tensor kept = Tensor::ones({20 * megabyte}); }
    const auto addresses = static_cast<rlim_t>(process_bytes(0) + 32 * megabyte);
    const rlimit limit{addresses, addresses};
    if (cached_bytes() < 80 * megabyte || ::setrlimit(RLIMIT_AS, &limit) != 0) {
      return 1;
    }
    if (has_addresses(1024 * megabyte)) {
      return 0;  // an emulator, which ignores the limit
    }
    const Tensor large = Tensor::ones({16 * megabyte});
    if (cached_bytes() != 0) {
      return 2;
    }
    try {
      const Tensor too_large = of_megabytes(1024);
      return 3;
    } catch (const MemoryError&) {
      return large.narrow(0, 16 * megabyte - 1, 1).item<float>() == 1 ? 0 : 4;
    }
  });
}

TEST_F(BlockCache, ThreadsNeverShareABlock) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int number = 0; number < 4; ++number) {
    threads.emplace_back([number, &wrong] {
      for (int round = 0; round < 200; ++round) {
        const Tensor mine = Tensor::full({megabyte / 4 + std::int64_t{1000} * (round % 3)}, number);
        if (round % 50 == 0) {
          empty_cache();
        }
        for (const std::int64_t place : {std::int64_t{0}, mine.numel() - 1}) {
          wrong += mine.narrow(0, place, 1).item<float>() == static_cast<float>(number) ? 0 : 1;
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong.load(), 0);
}

TEST_F(BlockCache, AChildHasItToo) {
  std::atomic<bool> ends{false};
  std::thread busy([&ends] {
    while (!ends) {
      const Tensor x = of_megabytes(2);
    }
  });
  for (int i = 0; i < 20; ++i) {
    child::expect_success([] {
      { const Tensor x = Tensor::ones({megabyte}); }
      return cached_bytes() >= 4 * megabyte ? 0 : 1;
    });
  }
  ends = true;
  busy.join();
}

TEST_F(BlockCache, TensorsMayEndWithTheProcess) {
  child::expect_success([] {
    { const Tensor kept = of_megabytes(4); }
    at_exit = of_megabytes(8);
    std::atexit([] { const Tensor x = of_megabytes(4); });
    return 0;
  });
}
