#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "halnorm/halnorm.h"
#include "kernels/threads/default_threads.h"
#include "support/child.h"
#include "support/host_loop.h"

/// @file
/// Calls while a process ends, and settings of a process that are read at its first call. All calls
/// are made in forked children: this process makes none, so that each child's is its first.

namespace {

const child::Counter right;
const child::Counter wrong;

/// Counts whether training, inference and the gradients have the same bits for any number of
/// threads.
void compute() {
  const int threads = halnorm::get_num_threads();
  const auto many = host_loop::results(host_loop::shapes.front());
  halnorm::set_num_threads(1);
  const auto alone = host_loop::results(host_loop::shapes.front());
  halnorm::nn::BatchNorm1d layer(70);
  layer(halnorm::Tensor::randn({300, 70}, 1));
  layer.eval();
  layer(halnorm::Tensor::randn({300, 70}, 1));
  halnorm::set_num_threads(threads);
  ++(many == alone && !halnorm::targets().empty() ? *right : *wrong);
}

/// A child computes when it ends; the parent does not.
bool armed = false;
void compute_if_armed() {
  if (armed) {
    compute();
  }
}

/// Constructed before any call.
struct ComputesInItsDestructor {
  ComputesInItsDestructor() { std::atexit(&compute_if_armed); }
  ComputesInItsDestructor(const ComputesInItsDestructor&) = delete;
  ComputesInItsDestructor& operator=(const ComputesInItsDestructor&) = delete;
  ~ComputesInItsDestructor() { compute_if_armed(); }
};
const ComputesInItsDestructor global;

struct ComputesWhenTheThreadEnds {
  bool active = false;
  ComputesWhenTheThreadEnds() = default;
  ComputesWhenTheThreadEnds(const ComputesWhenTheThreadEnds&) = delete;
  ComputesWhenTheThreadEnds& operator=(const ComputesWhenTheThreadEnds&) = delete;
  ~ComputesWhenTheThreadEnds() {
    if (active) {
      compute();
    }
  }
};
thread_local ComputesWhenTheThreadEnds of_thread;

/// The child ends with success, after `times` right results and no wrong one.
void expect_right(int times, const std::function<void()>& body) {
  *right = 0;
  *wrong = 0;
  child::expect_success([&] {
    halnorm::set_num_threads(4);
    body();
    return 0;
  });
  EXPECT_EQ((*right).load(), times);
  EXPECT_EQ((*wrong).load(), 0);
}

}  // namespace

TEST(ProcessEnd, AfterCalls) { expect_right(1, compute); }

TEST(ProcessEnd, DestructorsOfGlobalsAndHandlersThatAreOlderThanTheFirstCall) {
  expect_right(3, [] {
    compute();
    armed = true;
  });
}

TEST(ProcessEnd, DestructorsMayMakeTheFirstCall) {
  expect_right(2, [] { armed = true; });
}

TEST(ProcessEnd, HandlersThatAreYounger) {
  expect_right(3, [] {
    compute();
    std::atexit(&compute);
    std::atexit(&compute);
  });
}

TEST(ProcessEnd, QuickExit) {
  expect_right(2, [] {
    std::at_quick_exit(&compute);
    compute();
    std::quick_exit(0);
  });
}

TEST(ProcessEnd, DestructorsOfThreads) {
  expect_right(4, [] {
    of_thread.active = true;  // the first thread's runs before the handlers of exit()
    std::thread([] {
      of_thread.active = true;
      compute();
    }).join();
    compute();
  });
}

TEST(ProcessEnd, KeysOfThreads) {
  expect_right(2, [] {
    std::thread([] {
      pthread_key_t key{};
      pthread_key_create(&key, [](void*) { compute(); });
      pthread_setspecific(key, &key);
      compute();
    }).join();
  });
}

TEST(ProcessEnd, FromAThreadWhileOthersCompute) {
  *wrong = 0;
  for (int i = 0; i < 10; ++i) {
    child::expect_success([] {
      halnorm::set_num_threads(4);
      // The shape is never destroyed, because these threads continue while globals are destroyed.
      static const auto& shape = *new halnorm::Shape(host_loop::shapes.front());
      const auto forever = [] {
        while (true) {
          host_loop::results(shape);
        }
      };
      std::thread(forever).detach();
      std::thread(forever).detach();
      compute();
      armed = true;
      return 0;
    });
  }
  EXPECT_EQ((*wrong).load(), 0);
}

TEST(ProcessEnd, WithAParallelForOfTheHosts) {
  expect_right(3, [] {
    halnorm::set_parallel_for([](const halnorm::ParallelLoop& loop) {
      for (int i = 0; i < loop.count(); ++i) {
        loop.run(i);
      }
    });
    compute();
    armed = true;
  });
}

TEST(DefaultThreads, HonourTheAffinityMask) {
  child::expect_success([] {
    cpu_set_t mask;
    sched_getaffinity(0, sizeof(mask), &mask);
    int first = 0;
    while (!CPU_ISSET(first, &mask)) {
      ++first;
    }
    CPU_ZERO(&mask);
    CPU_SET(first, &mask);
    sched_setaffinity(0, sizeof(mask), &mask);
    return halnorm::get_num_threads() == 1 ? 0 : 1;
  });
}

TEST(DefaultThreads, AreThoseOfTheEnvironment) {
  for (const auto& [text, wanted] : {std::pair{"3", 3}, {"256", 256}}) {
    child::expect_success([&, &t = text, &w = wanted] {
      ::setenv("HL_NUM_THREADS", t, 1);
      const bool as_wanted = halnorm::get_num_threads() == w;
      halnorm::set_num_threads(5);
      const bool as_set = halnorm::get_num_threads() == 5;
      halnorm::set_num_threads(0);
      return as_wanted && as_set && halnorm::get_num_threads() == w ? 0 : 1;
    });
  }
  for (const char* text : {"", "0", "-2", "many", "257"}) {
    child::expect_success([&] {
      ::setenv("HL_NUM_THREADS", text, 1);
      cpu_set_t mask;
      sched_getaffinity(0, sizeof(mask), &mask);
      const int threads = halnorm::get_num_threads();
      return threads >= 1 && threads <= CPU_COUNT(&mask) ? 0 : 1;
    });
  }
}

namespace {

/// The files of control groups, as the system presents them.
class Groups {
 public:
  explicit Groups(const std::string& own) { write("own", own); }
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;
  ~Groups() { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  [[nodiscard]] int cpus() const {
    return halnorm::detail::cgroup_cpus((root_ / "own").c_str(), root_.c_str());
  }

 private:
  std::filesystem::path root_ =
      std::filesystem::temp_directory_path() / ("halnorm_groups_" + std::to_string(::getpid()));
};

}  // namespace

TEST(DefaultThreads, HonourTheQuotaOfUnifiedGroups) {
  const Groups groups("0::/pod/box\n");
  EXPECT_EQ(groups.cpus(), 0);
  groups.write("pod/box/cpu.max", "max 100000\n");
  EXPECT_EQ(groups.cpus(), 0);
  groups.write("pod/box/cpu.max", "350000 100000\n");
  EXPECT_EQ(groups.cpus(), 4);
  groups.write("pod/box/cpu.max", "1000 100000\n");
  EXPECT_EQ(groups.cpus(), 1);
  groups.write("pod/box/cpu.max", "400000 100000\n");
  EXPECT_EQ(groups.cpus(), 4);
  groups.write("pod/cpu.max", "200000 100000\n");  // a parent's limit holds too
  EXPECT_EQ(groups.cpus(), 2);
  groups.write("pod/box/cpu.max", "broken");
  EXPECT_EQ(groups.cpus(), 2);
}

TEST(DefaultThreads, HonourTheQuotaAtTheRootOfAContainer) {
  const Groups groups("0::/elsewhere/on/the/host\n");
  groups.write("cpu.max", "150000 100000\n");
  EXPECT_EQ(groups.cpus(), 2);
}

TEST(DefaultThreads, HonourTheQuotaOfSeparateGroups) {
  const Groups groups("5:memory:/box\n4:cpuset:/box\n3:cpu,cpuacct:/box\n1:name=systemd:/box\n");
  EXPECT_EQ(groups.cpus(), 0);
  groups.write("cpu,cpuacct/box/cpu.cfs_quota_us", "-1\n");
  groups.write("cpu,cpuacct/box/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(groups.cpus(), 0);
  groups.write("cpu,cpuacct/box/cpu.cfs_quota_us", "250000\n");
  EXPECT_EQ(groups.cpus(), 3);
  groups.write("cpu/cpu.cfs_quota_us", "100000\n");  // the other name, the container's root
  groups.write("cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(groups.cpus(), 1);
}
