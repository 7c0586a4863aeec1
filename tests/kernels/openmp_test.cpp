#include "halnorm/openmp.h"

#include "support/host_loop.h"

/// This is the declaration of <omp.h>, a header that belongs to one compiler.
extern "C" void omp_set_max_active_levels(int levels);
extern "C" void omp_set_num_threads(int threads);

namespace {

using halnorm::detail::run_with_openmp;

void region(int count, const std::function<void(int)>& body) {
#pragma omp parallel for schedule(static, 1) num_threads(4)
  for (int i = 0; i < count; ++i) {
    body(i);
  }
}

class OpenMp : public ::testing::Test {
 protected:
  void SetUp() override { omp_set_num_threads(4); }
  void TearDown() override { omp_set_max_active_levels(1); }
};

}  // namespace

TEST_F(OpenMp, RunsTheLoops) { host_loop::expect_same_results(run_with_openmp); }

TEST_F(OpenMp, CallsFromAParallelRegionComeBack) {
  host_loop::expect_nested_calls(run_with_openmp, region);
  omp_set_max_active_levels(2);  // regions within regions get threads of their own as well
  host_loop::expect_nested_calls(run_with_openmp, region);
}

TEST_F(OpenMp, ACallFromAParallelRegionHasOneThread) {
  for (const int levels : {1, 2}) {
    omp_set_max_active_levels(levels);
    EXPECT_EQ(halnorm::detail::openmp_threads(), 4);
    std::atomic<int> alone{0};
    region(4, [&alone](int) { alone += halnorm::detail::openmp_threads() == 1 ? 1 : 0; });
    EXPECT_EQ(alone.load(), 4);
  }
}

TEST_F(OpenMp, IsUsed) {
  const auto alone = host_loop::results(host_loop::shapes.front());
  const host_loop::Guard guard([](const halnorm::ParallelLoop&) { ADD_FAILURE() << "replaced"; });
  halnorm::use_openmp();
  EXPECT_EQ(host_loop::results(host_loop::shapes.front()), alone);
}
