#include <oneapi/tbb/parallel_for.h>

#include "support/host_loop.h"

namespace {

void run(const halnorm::ParallelLoop& loop) {
  tbb::parallel_for(0, loop.count(), [&](int i) { loop.run(i); });
}

void region(int count, const std::function<void(int)>& body) {
  tbb::parallel_for(0, count, [&](int i) { body(i); });
}

}  // namespace

TEST(Tbb, RunsTheLoops) { host_loop::expect_same_results(run); }

TEST(Tbb, CallsFromAParallelRegionComeBack) { host_loop::expect_nested_calls(run, region); }

TEST(Tbb, WhatABodyThrowsComesOut) {
  const host_loop::Guard guard([](const halnorm::ParallelLoop& loop) {
    tbb::parallel_for(0, loop.count(), [&](int i) {
      loop.run(i);
      throw std::runtime_error("from a body");
    });
  });
  EXPECT_THROW(host_loop::results(host_loop::shapes.front()), std::runtime_error);
}
