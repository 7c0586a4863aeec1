#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "floor.h"
#include "problem.h"

namespace halnorm::bench {

/// One thing to measure: an operation on a shape in a layout with a number of threads.
struct Case {
  BenchShape shape;
  Element element;
  Operation operation;
  Layout layout;
  int threads;
};

/// Its body: prepares, verifies and then times one case on the problem's buffers.
using CaseBody = std::function<void(benchmark::State&, const Case&, Problem&)>;

/// What one program of the suite measures.
struct Program {
  std::string name;  ///< the last part of each benchmark's name
  CaseBody body;
  CaseBody floor;  ///< if set, measured once for each operation, dtype, shape and thread count
  std::vector<Element> elements;  ///< the dtypes that it has; others are left out
};

/// The main function of every program. Arguments, before Google Benchmark's own:
///   --shapes             prints the suite, one shape a line, and stops
///   --shape=NAME         measures this shape only: one of the suite, or any NxC or NxCxL
///   --dtypes=f32,f16     the dtypes; default: f32
///   --threads=1,2        the thread counts; default: 1 and one per core
/// Benchmarks are named operation/layout/dtype/shape/threads:T/program; the floor's layout is
/// "any". Returns 1, with the message on stderr, when a result is wrong or an argument is not
/// understood.
int run_program(int argc, char** argv, const Program& program);

}  // namespace halnorm::bench
