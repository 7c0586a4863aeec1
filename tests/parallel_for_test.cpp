#include <thread>

#include "support/host_loop.h"
#include "support/throws.h"

using halnorm::KernelError;
using halnorm::ParallelLoop;

namespace {

/// Threads of the test's own, started for each loop.
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

TEST(ParallelFor, GivesThePoolBack) {
  {
    const host_loop::Guard guard([](const ParallelLoop&) { ADD_FAILURE() << "asked"; });
  }
  EXPECT_NO_THROW(some_results());
}
