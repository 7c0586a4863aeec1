#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "halnorm/error.h"
#include "halnorm/functional.h"
#include "halnorm/kernels.h"

/// @file
/// These tests run on a CPU whose fastest target is known: HALNORM_TEST_FASTEST names it.

namespace {

std::string fastest() {
  const char* name = std::getenv("HALNORM_TEST_FASTEST");
  return name == nullptr ? "HALNORM_TEST_FASTEST is not set" : name;
}

/// All linked targets, fastest first.
std::vector<std::string> linked() {
  std::vector<std::string> all;
  for (const halnorm::KernelInfo& kernel : halnorm::kernels()) {
    if (std::find(all.begin(), all.end(), kernel.target) == all.end()) {
      all.push_back(kernel.target);
    }
  }
  return all;
}

}  // namespace

TEST(Dispatch, TakesTheFastestTargetOfTheCpu) {
  // float16: a faster target may run a slower one's kernels for other dtypes.
  halnorm::functional::batch_norm_train(halnorm::Tensor::ones({4, 3, 5}, halnorm::DType::Float16),
                                        {}, {}, 1e-5);
  EXPECT_EQ(halnorm::last_kernel(), "halnorm_batch_norm_train_ncl_f16__" + fastest());
}

TEST(Dispatch, ThatAndTheSlowerOnesRunHere) {
  const std::vector<std::string> all = linked();
  const auto first = std::find(all.begin(), all.end(), fastest());
  ASSERT_NE(first, all.end()) << fastest();
  EXPECT_EQ(halnorm::targets(), std::vector<std::string>(first, all.end()));
  for (const halnorm::KernelInfo& kernel : halnorm::kernels()) {
    EXPECT_EQ(kernel.runs_here, std::find(first, all.end(), kernel.target) != all.end())
        << kernel.name;
  }
}

TEST(Dispatch, FasterOnesAreRefused) {
  for (const std::string& target : linked()) {
    if (target == fastest()) {
      break;
    }
    EXPECT_THROW(halnorm::force_target(target), halnorm::KernelError) << target;
  }
}
