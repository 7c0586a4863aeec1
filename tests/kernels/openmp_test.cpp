#include "support/host_loop.h"

/// From <omp.h>, which belongs to one compiler.
extern "C" void omp_set_max_active_levels(int levels);

namespace {

void run(const halnorm::ParallelLoop& loop) {
#pragma omp parallel for schedule(dynamic) num_threads(4)
  for (int i = 0; i < loop.count(); ++i) {
    loop.run(i);
  }
}

void region(int count, const std::function<void(int)>& body) {
#pragma omp parallel for schedule(static, 1) num_threads(4)
  for (int i = 0; i < count; ++i) {
    body(i);
  }
}

}  // namespace

TEST(OpenMp, RunsTheLoops) { host_loop::expect_same_results(run); }

TEST(OpenMp, CallsFromAParallelRegionComeBack) {
  host_loop::expect_nested_calls(run, region);
  omp_set_max_active_levels(2);  // regions within regions get threads of their own as well
  host_loop::expect_nested_calls(run, region);
}
