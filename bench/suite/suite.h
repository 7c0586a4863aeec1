#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "floor.h"
#include "problem.h"

namespace halnorm::bench {

/// One measurement: an operation on a shape in a layout with a number of threads.
struct Case {
  BenchShape shape;
  DType dtype;
  std::string_view dtype_name;  ///< as in the names of kernels
  Device device;
  OperationInfo info = {};
  Layout layout = {};
  int threads = 1;
};

/// One series of measurements of a program.
struct Series {
  std::string name;  ///< the last part of each benchmark's name
  /// Prepares, verifies and then times one case on the problem's buffers.
  std::function<void(benchmark::State&, const Case&, Problem&)> body;
  /// Whether it has the operation in the dtype.
  std::function<bool(const Case&)> has;
  bool any_layout = false;  ///< measured once for both layouts, under the name "any"
};

/// Runs the benchmarks that `add` registers, with Google Benchmark's arguments. Returns 1, with the
/// message on stderr, if a result is wrong or an argument is not understood.
int run_benchmarks(int& argc, char** argv, const std::function<void()>& add);

/// The same for the programs that measure cases. Arguments, before Google Benchmark's own:
///   --shape=8x512x64,20x100    the shapes, NxC or NxCxL; those of the suite are in shapes.csv
///   --dtypes=f32,f16           the dtypes; default: f32
///   --threads=1,2              the thread counts; default: 1 and one per core
///   --device=cuda:0            where our own program runs; default: cpu
/// Benchmarks are named operation/layout/dtype/shape/threads:T/series.
int run_program(int argc, char** argv, const std::vector<Series>& all);

}  // namespace halnorm::bench
