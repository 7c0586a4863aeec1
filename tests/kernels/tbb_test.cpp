#include "halnorm/tbb.h"

#include "support/host_loop.h"

namespace {

using halnorm::detail::run_with_tbb;

void region(int count, const std::function<void(int)>& body) {
  tbb::parallel_for(0, count, [&](int i) { body(i); });
}

}  // namespace

TEST(Tbb, RunsTheLoops) { host_loop::expect_same_results(run_with_tbb); }

TEST(Tbb, CallsFromAParallelRegionComeBack) {
  host_loop::expect_nested_calls(run_with_tbb, region);
}

TEST(Tbb, ACallTakesNoTaskOfTheHosts) {
  const host_loop::Guard guard(run_with_tbb);
  std::atomic<int> taken{0};
  region(64, [&taken](int) {
    static thread_local bool is_in_call = false;
    taken += is_in_call ? 1 : 0;
    is_in_call = true;
    host_loop::results(host_loop::shapes.front());
    is_in_call = false;
  });
  EXPECT_EQ(taken.load(), 0);
}

TEST(Tbb, IsUsed) {
  const auto alone = host_loop::results(host_loop::shapes.front());
  const host_loop::Guard guard([](const halnorm::ParallelLoop&) { ADD_FAILURE() << "replaced"; });
  halnorm::use_tbb();
  EXPECT_EQ(host_loop::results(host_loop::shapes.front()), alone);
}

TEST(Tbb, WhatABodyThrowsComesOut) {
  const host_loop::Guard guard([](const halnorm::ParallelLoop& loop) {
    tbb::parallel_for(0, loop.count(), [&](int i) {
      loop.run(i);
      throw std::runtime_error("from a body");
    });
  });
  EXPECT_THROW(host_loop::results(host_loop::shapes.front()), std::runtime_error);
}
