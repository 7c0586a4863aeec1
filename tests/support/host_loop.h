#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "halnorm/error.h"
#include "halnorm/functional.h"
#include "halnorm/kernels.h"
#include "halnorm/threads.h"

/// @file
/// Checks that hold with the parallel-for of any host; the tests of OpenMP and of TBB share them.

namespace host_loop {

using Run = std::function<void(const halnorm::ParallelLoop&)>;
/// Runs body(i) for each i below count in a parallel region of the host's own.
using Region = std::function<void(int count, const std::function<void(int)>& body)>;

/// During its lifetime the host runs the loops of kernels, on more than one thread.
class Guard {
 public:
  explicit Guard(const Run& run) {
    halnorm::set_num_threads(4);
    halnorm::set_parallel_for(run);
  }
  ~Guard() {
    halnorm::set_parallel_for({});
    halnorm::set_num_threads(0);
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
};

/// A forward and a backward of a batch that has several tasks.
inline std::vector<double> results(const halnorm::Shape& shape) {
  namespace F = halnorm::functional;
  const halnorm::Tensor x = halnorm::Tensor::randn(shape, 1);
  const halnorm::Tensor dy = halnorm::Tensor::randn(shape, 2);
  const auto forward = F::batch_norm_train(x, {}, {}, 1e-5);
  const auto backward = F::batch_norm_backward(dy, x, {}, forward.mean, forward.invstd);
  std::vector<double> all = forward.y.to_vector<double>();
  for (const double value : backward.dx.to_vector<double>()) {
    all.push_back(value);
  }
  return all;
}

inline const std::vector<halnorm::Shape> shapes = {{300, 70}, {3, 70, 301}};

/// The host ran tasks, and the bits are those of one thread.
inline void expect_same_results(const Run& run) {
  for (const halnorm::Shape& shape : shapes) {
    halnorm::set_num_threads(1);
    const std::vector<double> alone = results(shape);
    std::atomic<int> loops{0};
    const Guard guard([&](const halnorm::ParallelLoop& loop) {
      ++loops;
      EXPECT_GE(loop.count(), 2);
      run(loop);
    });
    EXPECT_EQ(results(shape), alone);
    EXPECT_GT(loops.load(), 0) << "the host was not asked";
  }
}

/// Calls from inside a parallel region of the host return, with the same bits.
inline void expect_nested_calls(const Run& run, const Region& region) {
  const std::vector<double> alone = results(shapes.front());
  const auto check = [&] {
    std::atomic<int> right{0};
    region(8, [&](int) {
      if (results(shapes.front()) == alone) {
        ++right;
      }
    });
    EXPECT_EQ(right.load(), 8);
  };
  {
    const Guard guard(run);
    check();
  }
  halnorm::set_num_threads(4);
  check();  // the host's region around halnorm's own pool
  halnorm::set_num_threads(0);
}

}  // namespace host_loop
