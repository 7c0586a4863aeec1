#include "halnorm/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <ranges>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "halnorm/error.h"
#include "halnorm/functional.h"
#include "support/cases/element.h"
#include "support/kernel_test.h"
#include "support/throws.h"

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::KernelError;
using halnorm::KernelInfo;
using halnorm::Tensor;
using halnorm::ValueError;

namespace {

const std::vector<std::string> fastest_first = {"avx512", "avx2",  "sse41", "arm64_fp16",
                                                "arm64",  "armhf", "cuda",  "opencl"};

/// Restores the choice of kernels after each test.
class Kernels : public ::testing::Test {
 protected:
  void TearDown() override {
    halnorm::force_target("");
    halnorm::set_num_threads(0);
  }
};

std::size_t rank_of(const std::string& target) {
  const auto at = std::find(fastest_first.begin(), fastest_first.end(), target);
  return static_cast<std::size_t>(at - fastest_first.begin());
}

std::string trained(std::vector<std::int64_t> shape) {
  F::batch_norm_train(Tensor::randn(std::move(shape), 1), Tensor(), Tensor(), 1e-5);
  return halnorm::last_kernel();
}

/// In float16, for which every target has kernels of its own.
std::string run_one() {
  F::batch_norm_moments(Tensor::ones({4, 3, 5}, DType::Float16));
  return halnorm::last_kernel();
}

}  // namespace

TEST_F(Kernels, NamesFollowTheGrammar) {
  ASSERT_FALSE(halnorm::kernels().empty());
  std::set<std::string> names;
  for (const KernelInfo& kernel : halnorm::kernels()) {
    EXPECT_EQ(kernel.name, "halnorm_" + kernel.operation + "_" + kernel.layout + "_" +
                               kernel.dtype + "__" + kernel.target);
    EXPECT_LT(rank_of(kernel.target), fastest_first.size()) << kernel.target;
    EXPECT_TRUE(names.insert(kernel.name).second) << kernel.name << " is listed twice";
  }
}

TEST_F(Kernels, EveryOperationHasEveryTarget) {
  std::set<std::pair<std::string, std::string>> dtypes;  // of each target
  std::set<std::string> families;
  std::set<std::string> operations;
  std::size_t count = 0;
  for (const KernelInfo& kernel : halnorm::kernels()) {
    if (kernel.operation.ends_with("_single_pass")) {  // in NCL only on devices
      const bool on_device = kernel.target == "cuda" || kernel.target == "opencl";
      EXPECT_TRUE(on_device || kernel.layout == "nlc") << kernel.name;
      continue;
    }
    if (kernel.operation.ends_with("_nontemporal")) {  // AVX has non-temporal stores
      EXPECT_TRUE(kernel.target.starts_with("avx")) << kernel.name;
      continue;
    }
    if (kernel.operation.ends_with("_exact")) {  // on CPUs, of the data whose sums are float32
      EXPECT_EQ(kernel.dtype, "f32") << kernel.name;
      EXPECT_FALSE(kernel.target == "cuda" || kernel.target == "opencl") << kernel.name;
      continue;
    }
    ++count;
    dtypes.emplace(kernel.target, kernel.dtype);
    families.insert(kernel.operation + " " + kernel.layout + " " + kernel.dtype);
    operations.insert(kernel.operation);
  }
  std::size_t wanted = 0;
  for (const auto& [target, dtype] : dtypes) {
    wanted += static_cast<std::size_t>(std::count_if(
        families.begin(), families.end(),
        [&dtype = dtype](const std::string& family) { return family.ends_with(" " + dtype); }));
  }
  EXPECT_EQ(count, wanted);
  // Each is in every dtype; training and backward are in one layout, and running statistics in two
  // dtypes.
  EXPECT_EQ(families.size(), (9 * 2 + 2) * 4 + 2U);
  EXPECT_EQ(operations.size(), 12U);
}

TEST_F(Kernels, AreOfTheirOwnForFewValues) {
  for (const std::string& target : targets_of(DType::Float32)) {
    halnorm::force_target(target);
    const std::string nlc = "_nlc_f32__" + target;
    const std::string single_pass = "halnorm_batch_norm_train_single_pass" + nlc;
    const std::string second_pass = "halnorm_batch_norm_elemt" + nlc;
    const std::string in_lines = target == "avx512" ? single_pass : second_pass;
    EXPECT_EQ(trained({64, 96}), single_pass);
    EXPECT_EQ(trained({100, 160}), in_lines);
    EXPECT_EQ(trained({103, 160}), second_pass);
    EXPECT_EQ(trained({512, 17}), in_lines);
    EXPECT_EQ(trained({513, 17}), second_pass);
    // Its rows share eight sets of a cache.
    EXPECT_EQ(trained({128, 128}), second_pass);
    EXPECT_EQ(trained({1, 128, 256}), "halnorm_batch_norm_train_exact_ncl_f32__" + target);
    EXPECT_EQ(trained({1, 128, 257}), "halnorm_batch_norm_train_ncl_f32__" + target);
  }
}

TEST_F(Kernels, AreListedFastestFirst) {
  for (const KernelInfo& kernel : halnorm::kernels()) {
    std::size_t last = 0;
    for (const KernelInfo& other : halnorm::kernels()) {
      if (other.operation == kernel.operation && other.layout == kernel.layout &&
          other.dtype == kernel.dtype) {
        EXPECT_LE(last, rank_of(other.target));
        last = rank_of(other.target);
      }
    }
  }
}

TEST_F(Kernels, TargetsAreThoseThatRunHere) {
  std::set<std::string> runnable;
  for (const KernelInfo& kernel : halnorm::kernels()) {
    const bool on_cpu = kernel.target != "cuda" && kernel.target != "opencl";
    if (on_cpu && kernel.runs_here) {
      runnable.insert(kernel.target);
    }
  }
  const std::vector<std::string> targets = halnorm::targets();
  ASSERT_FALSE(targets.empty()) << "no linked kernel runs on this machine: nothing is tested";
  EXPECT_EQ(std::set<std::string>(targets.begin(), targets.end()), runnable);
  EXPECT_TRUE(std::is_sorted(targets.begin(), targets.end(),
                             [](const auto& a, const auto& b) { return rank_of(a) < rank_of(b); }));
}

TEST_F(Kernels, AForcedTargetRuns) {
  for (const std::string& target : halnorm::targets()) {
    halnorm::force_target(target);
    EXPECT_EQ(run_one(), "halnorm_batch_norm_moments_ncl_f16__" + target);
  }
}

TEST_F(Kernels, ATargetWithoutADtypeRunsTheNextOnesKernels) {
  const std::vector<std::string> all = halnorm::targets();
  for (const DType dtype : element::linked()) {
    std::string next;
    for (const std::string& target : std::views::reverse(all)) {
      next = has_own_kernels(target, dtype) ? target : next;
      halnorm::force_target(target);
      F::batch_norm_moments(Tensor::ones({2, 3, 300}, dtype));
      EXPECT_EQ(halnorm::last_kernel(), "halnorm_batch_norm_moments_ncl_" +
                                            std::string(element::short_name(dtype)) + "__" + next);
    }
  }
}

TEST_F(Kernels, AnUnknownTargetLeavesTheChoice) {
  halnorm::force_target(halnorm::targets().back());
  const std::string before = run_one();
  for (const char* name : {"avx1024", "AVX2", "avx2 ", "neon"}) {
    expect_throws<KernelError>([&] { halnorm::force_target(name); },
                               {"force_target", name, halnorm::targets().front()});
    EXPECT_EQ(run_one(), before);
  }
}

TEST_F(Kernels, WithoutAForcedOneTheDefaultRuns) {
  const char* wanted = std::getenv("HALNORM_TARGET");
  const std::string target = wanted != nullptr ? wanted : halnorm::targets().front();
  EXPECT_EQ(run_one(), "halnorm_batch_norm_moments_ncl_f16__" + target);
  halnorm::force_target(halnorm::targets().back());
  halnorm::force_target("");
  EXPECT_EQ(run_one(), "halnorm_batch_norm_moments_ncl_f16__" + target);
}

TEST_F(Kernels, TheLastKernelBelongsToAThread) {
  run_one();
  std::string elsewhere = "unset";
  std::thread([&] { elsewhere = halnorm::last_kernel(); }).join();
  EXPECT_EQ(elsewhere, "");
}

TEST_F(Kernels, ThreadsAreCounted) {
  halnorm::set_num_threads(3);
  EXPECT_EQ(halnorm::get_num_threads(), 3);
  for (const int bad : {-1, 257}) {
    expect_throws<ValueError>([&] { halnorm::set_num_threads(bad); },
                              {"set_num_threads", std::to_string(bad), "256"});
    EXPECT_EQ(halnorm::get_num_threads(), 3);
  }
  halnorm::set_num_threads(0);
  EXPECT_GE(halnorm::get_num_threads(), 1);
}
