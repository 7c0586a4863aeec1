#include <algorithm>
#include <limits>
#include <thread>

#include "support/host_loop.h"
#include "support/throws.h"

using halnorm::KernelError;
using halnorm::ParallelLoop;

namespace {

/// Runs body(i) for each i below `count`, on threads that the test starts for each loop.
void on_threads(int count, const std::function<void(int)>& body) {
  constexpr int workers = 3;
  std::vector<std::thread> threads;
  for (int worker = 0; worker < workers; ++worker) {
    threads.emplace_back([&, worker] {
      for (int i = worker; i < count; i += workers) {
        body(i);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

void run(const ParallelLoop& loop) {
  on_threads(loop.count(), [&](int i) { loop.run(i); });
}

void backwards(const ParallelLoop& loop) {
  for (int i = loop.count(); i > 0; --i) {
    loop.run(i - 1);
  }
}

std::vector<double> some_results() { return host_loop::results(host_loop::shapes.front()); }

}  // namespace

TEST(ParallelFor, RunsTheLoops) {
  host_loop::expect_same_results(run);
  host_loop::expect_same_results(backwards);
}

TEST(ParallelFor, CallsFromAParallelRegionComeBack) {
  host_loop::expect_nested_calls(run, on_threads);
}

TEST(ParallelFor, OneThreadAsksNobody) {
  const host_loop::Guard guard([](const ParallelLoop&) { ADD_FAILURE() << "asked"; });
  halnorm::set_num_threads(1);
  some_results();
}

TEST(ParallelFor, WhatItThrowsComesOut) {
  const std::vector<double> before = some_results();
  {
    const host_loop::Guard guard([](const ParallelLoop& loop) {
      loop.run(0);
      throw std::runtime_error("no threads today");
    });
    expect_throws<std::runtime_error>(some_results, {"no threads today"});
  }
  EXPECT_EQ(some_results(), before);
}

TEST(ParallelFor, ThatLeavesTasksOutIsAnError) {
  const host_loop::Guard guard([](const ParallelLoop& loop) {
    for (int i = 1; i < loop.count(); ++i) {
      loop.run(i);
    }
  });
  expect_throws<KernelError>(some_results, {"batch_norm_train", "has not run every task once"});
}

TEST(ParallelFor, ThatRunsATaskTwiceIsAnError) {
  const std::vector<double> before = some_results();
  {
    const host_loop::Guard guard([](const ParallelLoop& loop) {
      loop.run(0);
      for (int i = 0; i + 1 < loop.count(); ++i) {
        loop.run(i);
      }
    });
    expect_throws<KernelError>(some_results, {"batch_norm_train", "has run task 0 of ", " twice"});
  }
  {
    const host_loop::Guard guard([](const ParallelLoop& loop) {
      run(loop);
      loop.run(loop.count() - 1);  // one more than all
    });
    expect_throws<KernelError>(some_results, {"batch_norm_train", " twice"});
  }
  EXPECT_EQ(some_results(), before);
}

TEST(ParallelFor, TwoThreadsMayNotRunOneTask) {
  const host_loop::Guard guard(
      [](const ParallelLoop& loop) { on_threads(3, [&](int) { backwards(loop); }); });
  expect_throws<KernelError>(some_results, {"batch_norm_train", " twice"});
}

TEST(ParallelFor, ThatRunsATaskOutOfRangeIsAnError) {
  const std::vector<double> before = some_results();
  for (const int beyond : {0, 1, 63, 1 << 20, std::numeric_limits<int>::max()}) {
    for (const bool below : {false, true}) {
      const host_loop::Guard guard([&](const ParallelLoop& loop) {
        const bool fits = beyond <= std::numeric_limits<int>::max() - loop.count();
        loop.run(below ? -1 - beyond : fits ? loop.count() + beyond : beyond);
        run(loop);
      });
      expect_throws<KernelError>(some_results,
                                 {"batch_norm_train", "has run task ", "wanted one from 0"});
    }
  }
  EXPECT_EQ(some_results(), before);
}

TEST(ParallelFor, MistakesOfNestedCallsStayTheirOwn) {
  const std::vector<double> alone = some_results();
  thread_local bool mistaken = false;
  const host_loop::Guard guard([](const ParallelLoop& loop) {
    for (int i = mistaken ? 1 : 0; i < loop.count(); ++i) {
      loop.run(i);
    }
    if (mistaken) {
      loop.run(1);
    }
  });
  std::atomic<int> refused{0};
  std::atomic<int> right{0};
  on_threads(12, [&](int i) {
    mistaken = i % 2 == 0;
    try {
      right += some_results() == alone ? 1 : 0;
    } catch (const KernelError&) {
      ++refused;
    }
    mistaken = false;
  });
  EXPECT_EQ(refused.load(), 6);
  EXPECT_EQ(right.load(), 6);
}

TEST(ParallelFor, LoopsOfManyTasksAreCountedToo) {
  const halnorm::Tensor x = halnorm::Tensor::randn({2, 4096, 700}, 1);
  halnorm::set_num_threads(1);
  const auto call = [&] {
    return halnorm::functional::batch_norm_moments(x).m2.to_vector<double>();
  };
  const std::vector<double> alone = call();
  int most = 0;
  {
    const host_loop::Guard guard([&](const ParallelLoop& loop) {
      most = std::max(most, loop.count());
      backwards(loop);
    });
    EXPECT_EQ(call(), alone);
    EXPECT_GT(most, 64);
  }
  const host_loop::Guard guard([](const ParallelLoop& loop) {
    backwards(loop);
    loop.run(loop.count() / 2);
  });
  expect_throws<KernelError>(call, {"batch_norm_moments", " twice"});
}

TEST(ParallelFor, GivesThePoolBack) {
  {
    const host_loop::Guard guard([](const ParallelLoop&) { ADD_FAILURE() << "asked"; });
  }
  EXPECT_NO_THROW(some_results());
}
