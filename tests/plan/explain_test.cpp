#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "halnorm/call_report.h"
#include "halnorm/error.h"
#include "halnorm/explain.h"
#include "halnorm/functional.h"
#include "halnorm/functional_fused.h"
#include "halnorm/kernels.h"
#include "support/kernel_test.h"
#include "support/throws.h"

/// @file
/// Plans, as explain() returns them without running a kernel, and as the sink of call reports gets
/// them.

namespace F = halnorm::functional;
using halnorm::CallReport;
using halnorm::DType;
using halnorm::Shape;
using halnorm::Tensor;

namespace {

std::string kernel(const std::string& rest, const std::string& target) {
  return "halnorm_batch_norm_" + rest + "__" + target;
}

class Explain : public testing::Test {
 protected:
  void TearDown() override {
    halnorm::set_call_sink({});
    halnorm::set_streaming_threshold(halnorm::default_streaming_threshold);
    halnorm::force_target("");
  }
};

}  // namespace

TEST_F(Explain, OneKernelWhereOneDoes) {
  for (const std::string& target : targets_of(DType::Float32)) {
    halnorm::force_target(target);
    const Tensor x = Tensor::empty({9, 40, 100});
    for (const std::string function :
         {"batch_norm_train", "batch_norm_infer", "batch_norm_moments", "batch_norm_elemt",
          "batch_norm_backward", "batch_norm_backward_infer", "batch_norm_backward_reduce",
          "batch_norm_backward_elemt"}) {
      EXPECT_EQ(halnorm::explain(function, x), "halnorm_" + function + "_ncl_f32__" + target);
    }
  }
}

TEST_F(Explain, OperationsOfSeveralKernels) {
  for (const std::string& t : targets_of(DType::Float32)) {
    halnorm::force_target(t);
    const Tensor x = Tensor::empty({9, 40, 100});
    const std::string update = "halnorm_update_running_stats_c_f32__" + t;
    const std::string fused_train =
        kernel("moments_ncl_f32", t) + ", then " + kernel("fused_elemt_ncl_f32", t);
    const std::string relu = "halnorm_relu_backward_ncl_f32__" + t;
    EXPECT_EQ(halnorm::explain("update_running_stats", x), update);
    EXPECT_EQ(halnorm::explain("batch_norm_train_update", x),
              kernel("train_ncl_f32", t) + ", then " + update);
    EXPECT_EQ(halnorm::explain("batch_norm_fused_train", x), fused_train);
    EXPECT_EQ(halnorm::explain("batch_norm_fused_train_update", x),
              fused_train + ", then " + update);
    EXPECT_EQ(halnorm::explain("batch_norm_fused_infer", x), kernel("fused_infer_ncl_f32", t));
    EXPECT_EQ(halnorm::explain("batch_norm_fused_backward", x),
              relu + ", then " + kernel("backward_ncl_f32", t));
    EXPECT_EQ(halnorm::explain("batch_norm_fused_backward_infer", x, x),
              relu + ", then " + kernel("backward_infer_ncl_f32", t))
        << "dx overwrites x, and not the dy of this kernel";
  }
}

TEST_F(Explain, VariantsForFewValues) {
  for (const std::string& target : targets_of(DType::Float32)) {
    halnorm::force_target(target);
    EXPECT_EQ(halnorm::explain("batch_norm_train", Tensor::empty({20, 100})),
              kernel("train_single_pass_nlc_f32", target));
    EXPECT_EQ(halnorm::explain("batch_norm_train", Tensor::empty({4, 3, 64})),
              kernel("train_exact_ncl_f32", target));
    EXPECT_EQ(halnorm::explain("batch_norm_train", Tensor::empty({4, 3, 65})),
              kernel("train_ncl_f32", target));
    EXPECT_EQ(halnorm::explain("batch_norm_train", Tensor::empty({4, 3, 64}, DType::Float64)),
              kernel("train_ncl_f64", target));
  }
}

TEST_F(Explain, PartsAndColumns) {
  for (const std::string& t : targets_of(DType::Float32)) {
    halnorm::force_target(t);
    const std::string elemt = kernel("elemt_nlc_f32", t);
    const std::string moments = kernel("moments_exact_nlc_f32", t);
    const auto plan = [](const Shape& shape) {
      return halnorm::explain("batch_norm_train", Tensor::empty(shape));
    };
    EXPECT_EQ(plan({2111, 3}), "in rows of 96 columns (" + moments + "; the rows left over: " +
                                   moments + "), then in rows of 96 columns (" + elemt +
                                   "; the rows left over: " + elemt + ")")
        << "few channels: 32 rows at a time, and 31 are left";
    EXPECT_EQ(plan({70, 5, 7}),
              "in rows of 35 columns (" + moments + "), then in rows of 35 columns (" + elemt + ")")
        << "short rows";
    EXPECT_EQ(plan({17, 190, 9}), "2 groups of channels side by side (in rows of 864 columns (" +
                                      moments + "), then in rows of 864 columns (" + elemt +
                                      "); the last: in rows of 846 columns (" + moments +
                                      "), then in rows of 846 columns (" + elemt + "))")
        << "96 channels of 9 columns, and 94";
    EXPECT_EQ(halnorm::explain("batch_norm_moments", Tensor::empty({17, 190, 9})),
              "2 groups of channels side by side (in rows of 864 columns (" + moments +
                  "); the last: in rows of 846 columns (" + moments + "))")
        << "the halves have the same groups";
    EXPECT_EQ(plan({515, 9, 17}), "in rows of 153 columns (" + kernel("moments_nlc_f32", t) +
                                      "), then " + kernel("elemt_ncl_f32", t))
        << "many rows of few vectors";
    EXPECT_EQ(plan({1, 2, 150001}), kernel("moments_ncl_f32", t) +
                                        " on 6 parts side by side, then " +
                                        kernel("elemt_ncl_f32", t))
        << "few channels: three times 65536 values and less for each of two";
  }
}

TEST_F(Explain, DataBeyondTheCaches) {
  constexpr std::int64_t bytes = std::int64_t{16} * 16 * 64 * 2 * 4;  // x and y
  for (const std::string& t : targets_of(DType::Float32)) {
    halnorm::force_target(t);
    const std::string form = t.starts_with("avx") ? "_nontemporal" : "";
    const Tensor x = Tensor::empty({16, 16, 64});
    halnorm::set_streaming_threshold(bytes);
    EXPECT_EQ(halnorm::explain("batch_norm_train", x), kernel("train_ncl_f32", t));
    halnorm::set_streaming_threshold(bytes - 1);
    EXPECT_EQ(halnorm::explain("batch_norm_train", x), kernel("train" + form + "_ncl_f32", t));
    EXPECT_EQ(halnorm::explain("batch_norm_train", x, x), kernel("train_ncl_f32", t))
        << "what overwrites its input finds it in cache";
    const Tensor nlc = Tensor::empty({16, 64, 16}).transpose(1, 2);
    if (!form.empty()) {
      EXPECT_EQ(halnorm::explain("batch_norm_elemt", nlc),
                "in rows of 1024 columns (" + kernel("elemt_nontemporal_nlc_f32", t) + ")");
    }
  }
}

TEST_F(Explain, ShortAndWideRowsBeyondTheCaches) {
  halnorm::set_streaming_threshold(1);
  for (const std::string& t : targets_of(DType::Float32)) {
    halnorm::force_target(t);
    if (!t.starts_with("avx")) {
      continue;
    }
    const std::string elemt = kernel("elemt_nontemporal_ncl_f32", t);
    const Tensor one_line = Tensor::empty({20, 15, 16});
    EXPECT_EQ(halnorm::explain("batch_norm_train", one_line), kernel("train_ncl_f32", t))
        << "a kernel with sums gains nothing on rows of one line";
    EXPECT_EQ(halnorm::explain("batch_norm_elemt", one_line), elemt);
    EXPECT_EQ(halnorm::explain("batch_norm_elemt", Tensor::empty({513, 16, 75})),
              "in rows of 1200 columns (" + kernel("elemt_nontemporal_nlc_f32", t) + ")")
        << "300 bytes, which start anywhere";
    EXPECT_EQ(halnorm::explain("batch_norm_elemt", Tensor::empty({513, 3, 96})), elemt);
    EXPECT_EQ(halnorm::explain("batch_norm_elemt", Tensor::empty({16, 70000})),
              kernel("elemt_nontemporal_nlc_f32", t) + " on 3 parts, one by one");
  }
}

TEST_F(Explain, RefusesWhatItDoesNotKnow) {
  const Tensor x = Tensor::empty({4, 3});
  expect_throws<halnorm::ValueError>(
      [&] { halnorm::explain("batch_norm", x); },
      {"explain: got function 'batch_norm', wanted one of batch_norm_train, "
       "batch_norm_train_update, batch_norm_infer, "});
  EXPECT_THROW(halnorm::explain("batch_norm_train", Tensor()), halnorm::ValueError);
  EXPECT_THROW(halnorm::explain("batch_norm_train", Tensor::empty({4})), halnorm::ShapeError);
  EXPECT_THROW(halnorm::explain("batch_norm_train", Tensor::empty({4, 3}, DType::Int64)),
               halnorm::DTypeError);
  EXPECT_THROW(halnorm::explain("batch_norm_train", x, Tensor::empty({4, 4})), halnorm::ShapeError);
  EXPECT_EQ(halnorm::explain("batch_norm_train", Tensor::empty({0, 3})), "nothing: x is empty");
}

namespace {

struct Told {
  std::string function, layout, plan;
  DType dtype;
  std::int64_t N, C, L;
  double seconds;
};

std::vector<Told> told_of(const std::function<void()>& calls) {
  std::vector<Told> told;
  halnorm::set_call_sink([&](const CallReport& r) {
    told.push_back({std::string(r.function), std::string(r.layout), std::string(r.plan), r.dtype,
                    r.N, r.C, r.L, r.seconds});
  });
  calls();
  halnorm::set_call_sink({});
  return told;
}

}  // namespace

TEST_F(Explain, TheSinkIsToldOfEachOperation) {
  const Tensor x = Tensor::randn({9, 40, 100}, 1);
  const Tensor dy = Tensor::randn({9, 40, 100}, 2);
  const std::vector<Told> told = told_of([&] {
    const auto f = F::batch_norm_train(x, {}, {}, 1e-5);
    F::batch_norm_backward(dy, x, {}, f.mean, f.invstd);
    F::batch_norm_fused_train(x, {}, {}, {}, 1e-5);
  });
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[0].function, "batch_norm_train");
  EXPECT_EQ(told[0].plan, halnorm::explain("batch_norm_train", x));
  EXPECT_EQ(told[0].layout, "ncl");
  EXPECT_EQ(told[0].dtype, DType::Float32);
  EXPECT_EQ((Shape{told[0].N, told[0].C, told[0].L}), x.shape());
  EXPECT_EQ(told[1].function, "batch_norm_backward");
  EXPECT_EQ(told[1].plan, halnorm::explain("batch_norm_backward", x));
  EXPECT_EQ(told[2].function, "batch_norm_fused_train");
  EXPECT_TRUE(told[2].plan.starts_with("halnorm_batch_norm_moments_ncl_f32__"));
  for (const Told& t : told) {
    EXPECT_GT(t.seconds, 0);
  }
  EXPECT_TRUE(told_of([] {}).empty());
}

TEST_F(Explain, TheSinkIsToldOfUpdatesAndOfChannelsComputedAgain) {
  const Tensor mean = Tensor::zeros({2});
  const Tensor var = Tensor::ones({2});
  const std::vector<Told> told = told_of([&] {
    // The second channel's squares overflow float32.
    F::batch_norm_train_update(Tensor::from<float>(std::vector<float>{1, 1e30F, 2, -1e30F}, {2, 2}),
                               mean, var, {}, {}, 0.1, 1e-5);
  });
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[1].dtype, DType::Float64);
  EXPECT_EQ(told[1].C, 1);
  EXPECT_TRUE(told[2].plan.starts_with("halnorm_update_running_stats_c_f32__")) << told[2].plan;
  EXPECT_EQ(told[2].layout, "c");
  EXPECT_EQ(told[2].C, 2);
}

TEST_F(Explain, WhatTheSinkThrowsIsLost) {
  halnorm::set_call_sink([](const CallReport&) { throw std::runtime_error("no"); });
  const auto m = F::batch_norm_moments(Tensor::from<float>(std::vector<float>{1, 3}, {2, 1}));
  EXPECT_EQ(m.mean.to_vector<double>(), std::vector<double>{2});
}
