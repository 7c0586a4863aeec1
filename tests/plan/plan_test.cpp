#include "plan/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "halnorm/kernels.h"

/// @file
/// Plans as functions of machines and views. No kernel runs and no data exist: the targets need not
/// run on this CPU. The program links the room plan and those below it.

namespace halnorm::HALNORM_ABI::detail {

namespace {

constexpr std::int64_t unlimited = std::int64_t{1} << 62;

/// Those with kernels of their own for float32.
std::vector<Target> cpu_targets() {
  std::vector<Target> all;
  for (std::size_t i = 0; i < target_count; ++i) {
    const auto target = static_cast<Target>(i);
    const Kernel* kernel = rows::batch_norm_moments.find(target, Layout::ncl, Element::f32);
    if (kernel->vector_bytes != 0 && kernel->target_id == target) {
      all.push_back(target);
    }
  }
  return all;
}

std::string name_of(Target target) {
  return std::string(target_names[static_cast<std::size_t>(target)]);
}

bool has_nontemporal(Target target) { return name_of(target).starts_with("avx"); }

Machine machine(Target target, std::int64_t nontemporal_bytes = unlimited,
                bool follows_rows = false) {
  return {
      target,
      follows_rows,
      {.nontemporal_bytes = nontemporal_bytes, .nontemporal_bytes_of_passes = nontemporal_bytes}};
}

/// Dense data that start at a cache line; equal for equal `which`, and never read.
View ncl(std::int64_t N, std::int64_t C, std::int64_t L, int which = 0,
         DType dtype = DType::Float32) {
  alignas(line_bytes) static std::array<std::byte, 4 * line_bytes> lines;
  return {
      &lines[static_cast<std::size_t>(which * line_bytes)], dtype, Layout::ncl, N, C, L, C * L, L};
}

View nlc(std::int64_t N, std::int64_t C, int which = 0, DType dtype = DType::Float32) {
  View v = ncl(N, C, 1, which, dtype);
  v.layout = Layout::nlc;
  v.stride_n = C;
  v.stride_c = 1;
  return v;
}

std::string train(const Machine& m, const View& x, const View& y) {
  return plan_for(m, TrainOperands{.rows = plain_train, .x = x, .y = y}).str();
}

std::string moments(const Machine& m, const View& x) {
  return plan_for(m, MomentsOperands{.x = x}).str();
}

std::string reduce(const Machine& m, const View& dy, const View& x) {
  return plan_for(m, ReduceOperands{.dy = dy, .x = x}).str();
}

/// The name of a kernel, "train_ncl", "moments_nontemporal_nlc".
std::string kernel(const std::string& rest, Target target, const std::string& dtype = "f32") {
  return "halnorm_batch_norm_" + rest + "_" + dtype + "__" + name_of(target);
}

class PlanFor : public testing::TestWithParam<Target> {
 protected:
  const Target target = GetParam();
  const std::string train_ncl = kernel("train_ncl", target);
  const std::string train_nlc =
      kernel("moments_nlc", target) + ", then " + kernel("elemt_nlc", target);
};

INSTANTIATE_TEST_SUITE_P(Targets, PlanFor, testing::ValuesIn(cpu_targets()),
                         [](const auto& each) { return name_of(each.param); });

}  // namespace

TEST_P(PlanFor, TheLayoutChoosesOneKernelOrTwo) {
  EXPECT_EQ(train(machine(target), ncl(9, 40, 100), ncl(9, 40, 100, 1)), train_ncl);
  EXPECT_EQ(train(machine(target), nlc(4096, 256), nlc(4096, 256, 1)), train_nlc);
}

TEST_P(PlanFor, ChannelsOfFewValuesAreExact) {
  const auto of_values = [&](std::int64_t n) {
    return train(machine(target), ncl(n, 40, 64), ncl(n, 40, 64, 1));
  };
  EXPECT_EQ(of_values(4), kernel("train_exact_ncl", target)) << "256 values";
  EXPECT_EQ(of_values(5), train_ncl);
  EXPECT_EQ(train(machine(target), ncl(4, 40, 64, 0, DType::BFloat16),
                  ncl(4, 40, 64, 1, DType::BFloat16)),
            kernel("train_ncl", target, "bf16"))
      << "narrow values have fewer digits than the sums";
}

TEST_P(PlanFor, ASinglePassTakesSoManyBytes) {
  const Machine m = machine(target);
  const std::int64_t most = vector_bytes_of(name_of(target)) == line_bytes
                                ? m.thresholds.single_pass_bytes_in_lines
                                : m.thresholds.single_pass_bytes_in_parts;
  constexpr std::int64_t rows = 32;
  const std::int64_t channels = most / (rows * 4);
  const auto with = [&](const Machine& on, std::int64_t c) {
    return train(on, nlc(rows, c), nlc(rows, c, 1));
  };
  EXPECT_EQ(with(m, channels), kernel("train_single_pass_nlc", target));
  Machine less = m;
  less.thresholds.single_pass_bytes_in_lines = less.thresholds.single_pass_bytes_in_parts =
      most - 1;
  EXPECT_EQ(with(less, channels),
            kernel("moments_exact_nlc", target) + ", then " + kernel("elemt_nlc", target));
}

TEST_P(PlanFor, DataBeyondTheCachesTakeNonTemporalStores) {
  const View x = ncl(16, 16, 128);
  const View y = ncl(16, 16, 128, 1);
  const std::int64_t touched = 2 * x.bytes();
  const std::string beyond =
      has_nontemporal(target) ? kernel("train_nontemporal_ncl", target) : train_ncl;
  EXPECT_EQ(train(machine(target, touched - 1), x, y), beyond);
  EXPECT_EQ(train(machine(target, touched), x, y), train_ncl);
  EXPECT_EQ(train(machine(target, 1), x, x), train_ncl) << "an output that is the input";
  View off_line = y;
  off_line.data += 4;
  EXPECT_EQ(train(machine(target, 1), x, off_line), train_ncl);
  EXPECT_EQ(train(machine(target, 1), ncl(16, 16, 65), ncl(16, 16, 65, 1)), train_ncl)
      << "short rows that start anywhere";
  const auto long_enough = [&](std::int64_t length) {
    return train(machine(target, 1), ncl(16, 16, length), ncl(16, 16, length, 1)) == beyond;
  };
  EXPECT_EQ(long_enough(101), !has_nontemporal(target) || name_of(target) == "avx512");
  EXPECT_EQ(long_enough(511), !has_nontemporal(target) || name_of(target) == "avx512");
  EXPECT_TRUE(long_enough(513));
}

TEST_P(PlanFor, KernelsThatSumAndWriteHaveAThresholdOfTheirOwn) {
  Machine m = machine(target);
  m.thresholds.nontemporal_bytes_of_passes = 1;
  const View x = ncl(16, 16, 128);
  const View y = ncl(16, 16, 128, 1);
  const std::string form = has_nontemporal(target) ? "_nontemporal" : "";
  EXPECT_EQ(train(m, x, y), train_ncl);
  EXPECT_EQ(moments(m, x), kernel("moments_ncl", target));
  const auto infer = plan_for(m, InferOperands{.rows = plain_infer, .x = x, .y = y}).str();
  EXPECT_EQ(infer,
            form.empty() ? kernel("infer_ncl", target) : kernel("elemt" + form + "_ncl", target));
  EXPECT_EQ(train(m, nlc(512, 256), nlc(512, 256, 1)),
            form.empty() ? train_nlc
                         : kernel("moments_nlc", target) + ", then in rows of 1024 columns (" +
                               kernel("elemt_nontemporal_nlc", target) + ")");
}

TEST_P(PlanFor, SumsPrefetchWhereTheCpuDoesNotFollowRows) {
  const View x = nlc(512, 256);
  const View dy = nlc(512, 256, 1);
  const auto form = [&](const std::string& operation, bool prefetches) {
    const std::string variant = prefetches && has_nontemporal(target) ? "_nontemporal" : "";
    return kernel(operation + variant + "_nlc", target);
  };
  const std::int64_t half = 2 * x.bytes();
  EXPECT_EQ(moments(machine(target, half - 1), x), form("moments", true));
  EXPECT_EQ(moments(machine(target, half), x), form("moments", false));
  EXPECT_EQ(moments(machine(target, 1, true), x), form("moments", false));
  EXPECT_EQ(reduce(machine(target, 1, true), dy, x),
            form("backward_reduce", name_of(target) == "avx512"))
      << "there the rows of two tensors with 256 channels are on one page";
  EXPECT_EQ(reduce(machine(target, 1, true), nlc(512, 160, 1), nlc(512, 160)),
            form("backward_reduce", false));
  EXPECT_EQ(reduce(machine(target, 1, true), nlc(512, 1024, 1), nlc(512, 1024)),
            form("backward_reduce", false));
}

TEST_P(PlanFor, ShortRowsAreGroupsOfChannelsThatFitACache) {
  const View x = ncl(64, 512, 7);
  const std::string text = train(machine(target), x, ncl(64, 512, 7, 1));
  EXPECT_TRUE(text.starts_with("4 groups of channels side by side (in rows of 896 columns"))
      << text;
  Machine small = machine(target);
  small.thresholds.group_elements = std::int64_t{16} * 768;
  EXPECT_TRUE(train(small, x, ncl(64, 512, 7, 1)).starts_with("in rows of 3584 columns"));
}

TEST_P(PlanFor, RowsOfPartialVectorsAreJoinedWhereMasksAreSlow) {
  const auto infer = [&](std::int64_t rows, std::int64_t channels) {
    return plan_for(machine(target),
                    InferOperands{
                        .rows = plain_infer, .x = nlc(rows, channels), .y = nlc(rows, channels, 1)})
        .str();
  };
  const std::string one = kernel("infer_nlc", target);
  const std::string joined = "in rows of 520 columns (" + kernel("elemt_nlc", target) + ")";
  EXPECT_EQ(infer(1024, 65), name_of(target) == "avx512" ? one : joined);
  EXPECT_EQ(infer(1024, 64), one) << "whole vectors";
  EXPECT_EQ(infer(1024, 129), one) << "coefficients beyond the L1 cache";
  EXPECT_EQ(infer(127, 65), one) << "too few rows";
  EXPECT_EQ(moments(machine(target), nlc(1024, 65)), kernel("moments_nlc", target));
}

TEST_P(PlanFor, ManyRowsOfFewVectorsAreSummedByColumns) {
  const View x = ncl(512, 64, 100);
  EXPECT_EQ(moments(machine(target), x),
            "in rows of 6400 columns (" + kernel("moments_nlc", target) + ")");
  Machine more = machine(target);
  more.thresholds.many_rows = 513;
  EXPECT_EQ(moments(more, x), kernel("moments_ncl", target));
}

TEST_P(PlanFor, FewChannelsAreSplitForTheThreads) {
  EXPECT_EQ(moments(machine(target), ncl(1, 3, 1 << 20)),
            kernel("moments_ncl", target) + " on 48 parts side by side");
}

TEST_P(PlanFor, IndicesBeyond32BitsAreParts) {
  const View x = ncl(65536, 1, 65536 + 32);
  EXPECT_EQ(train(machine(target), x, x),
            kernel("moments_ncl", target) + " on 5 parts, one by one, then " +
                kernel("elemt_ncl", target) + " on 5 parts, one by one");
}

TEST_P(PlanFor, OperationsOfFixedStatisticsTakeOneKernel) {
  const View x = ncl(9, 40, 100);
  const View other = ncl(9, 40, 100, 1);
  const View out = ncl(9, 40, 100, 2);
  const Machine m = machine(target);
  EXPECT_EQ(plan_for(m, InferOperands{.rows = plain_infer, .x = x, .y = out}).str(),
            kernel("infer_ncl", target));
  EXPECT_EQ(
      plan_for(m, InferOperands{.rows = fused_infer, .x = x, .y = out, .relu = Epilogue{other, 0}})
          .str(),
      kernel("fused_infer_ncl", target));
  EXPECT_EQ(plan_for(m, BackwardInferOperands{.dy = other, .x = x, .dx = out}).str(),
            kernel("backward_infer_ncl", target));
  EXPECT_EQ(plan_for(m, BackwardInferOperands{.dy = other, .x = x, .dx = other}).str(),
            kernel("backward_reduce_ncl", target) + ", then " + kernel("elemt_ncl", target))
      << "dx overwrites dy, which the sums still read";
}

TEST_P(PlanFor, TheProcessDoesNotMatter) {
  const View x = ncl(16, 16, 128);
  const View y = ncl(16, 16, 128, 1);
  const std::string before = train(machine(target), x, y);
  set_streaming_threshold(1);
  EXPECT_EQ(train(machine(target), x, y), before);
  set_streaming_threshold(default_streaming_threshold);
}

TEST(ThresholdsFor, FollowTheCache) {
  constexpr std::int64_t mb = std::int64_t{1} << 20;
  const auto both = [](bool follows_rows, std::int64_t cache, bool in_lines = true) {
    const Thresholds t = thresholds_for(follows_rows, in_lines, cache);
    return std::pair(t.nontemporal_bytes / mb, t.nontemporal_bytes_of_passes / mb);
  };
  using Pair = std::pair<std::int64_t, std::int64_t>;
  EXPECT_EQ(both(true, 32 * mb), Pair(32, 32));
  EXPECT_EQ(both(true, 256 * mb), Pair(64, 64));
  EXPECT_EQ(both(true, 32 * mb, false), Pair(32, 16)) << "a Zen 3";
  EXPECT_EQ(both(false, 32 * mb), Pair(32, 32));
  EXPECT_EQ(both(false, 300 * mb), Pair(64, 16)) << "many cores share it";
  EXPECT_EQ(both(false, 0), Pair(64, 64));
}

TEST(MachineOf, HasTheThresholdsOfTheProcess) {
  const View x = ncl(1, 1, 1);
  const std::int64_t own = machine_of(x).thresholds.nontemporal_bytes;
  EXPECT_GT(own, 0);
  set_streaming_threshold(12345);
  EXPECT_EQ(machine_of(x).thresholds.nontemporal_bytes, 12345);
  EXPECT_EQ(machine_of(x).thresholds.nontemporal_bytes_of_passes, 12345);
  set_streaming_threshold(0);
  EXPECT_GT(machine_of(x).thresholds.nontemporal_bytes, std::int64_t{1} << 60);
  set_streaming_threshold(default_streaming_threshold);
  EXPECT_EQ(machine_of(x).thresholds.nontemporal_bytes, own);
  Thresholds given = machine_of(x).thresholds;
  given.many_rows = 7;
  set_thresholds(&given);
  EXPECT_EQ(machine_of(x).thresholds.many_rows, 7);
  set_thresholds(nullptr);
  EXPECT_NE(machine_of(x).thresholds.many_rows, 7);
}

}  // namespace halnorm::HALNORM_ABI::detail
