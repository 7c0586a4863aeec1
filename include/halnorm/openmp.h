#pragma once

#ifndef _OPENMP
#error "halnorm/openmp.h needs OpenMP: compile with -fopenmp, or link OpenMP::OpenMP_CXX"
#endif

#if __has_include(<omp.h>)
#include <omp.h>
#else
extern "C" int omp_in_parallel();      ///< OpenMP's: whether a parallel region runs
extern "C" int omp_get_max_threads();  ///< OpenMP's: the threads of the next region
#endif

#include "halnorm/threads.h"

/// @file
/// For hosts that compute with OpenMP. A header alone: the library does not link OpenMP.

namespace halnorm::HALNORM_ABI {

namespace detail {

/// Within a region all threads have work already.
inline int openmp_threads() { return omp_in_parallel() != 0 ? 1 : omp_get_max_threads(); }

inline void run_with_openmp(const ParallelLoop& loop) {
  const int count = loop.count();
#pragma omp parallel for schedule(static) num_threads(openmp_threads())
  for (int i = 0; i < count; ++i) {
    loop.run(i);
  }
}

}  // namespace detail

/// Has kernels run their loops on OpenMP's threads: set_parallel_for(), and what is said there. A
/// call from inside a parallel region stays on its thread, also if the host has regions nest.
inline void use_openmp() { set_parallel_for(&detail::run_with_openmp); }

}  // namespace halnorm::HALNORM_ABI
