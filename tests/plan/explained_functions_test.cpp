#include <gtest/gtest.h>

#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "halnorm/call_report.h"
#include "halnorm/error.h"
#include "halnorm/explain.h"
#include "halnorm/functional.h"
#include "halnorm/functional_fused.h"

/// @file
/// explain() has the plan of every function that runs a kernel, and the plan is the one that runs.

namespace F = halnorm::functional;
using halnorm::CallReport;
using halnorm::DType;
using halnorm::Shape;
using halnorm::Tensor;

namespace {

/// A function of halnorm/functional.h or functional_fused.h on x.
struct Function {
  std::string name;
  std::function<void(const Tensor& x)> call;
};

// NOLINTNEXTLINE(readability-function-size): a list
std::vector<Function> functions() {
  const auto mean = [](const Tensor& x) { return Tensor::zeros({x.shape()[1]}); };
  const auto var = [](const Tensor& x) { return Tensor::ones({x.shape()[1]}); };
  return {
      {"batch_norm_train", [](const Tensor& x) { F::batch_norm_train(x, {}, {}, 1e-5); }},
      {"batch_norm_train_update",
       [=](const Tensor& x) { F::batch_norm_train_update(x, mean(x), var(x), {}, {}, 0.1, 1e-5); }},
      {"batch_norm_infer",
       [=](const Tensor& x) { F::batch_norm_infer(x, mean(x), var(x), {}, {}, 1e-5); }},
      {"batch_norm_backward",
       [=](const Tensor& x) { F::batch_norm_backward(x.clone(), x, {}, mean(x), var(x)); }},
      {"batch_norm_backward_infer",
       [=](const Tensor& x) {
         F::batch_norm_backward_infer(x.clone(), x, {}, mean(x), var(x), 1e-5);
       }},
      {"batch_norm_moments", [](const Tensor& x) { F::batch_norm_moments(x); }},
      {"batch_norm_elemt",
       [=](const Tensor& x) { F::batch_norm_elemt(x, {}, {}, mean(x), var(x)); }},
      {"batch_norm_backward_reduce",
       [=](const Tensor& x) { F::batch_norm_backward_reduce(x.clone(), x, mean(x), var(x), {}); }},
      {"batch_norm_backward_elemt",
       [=](const Tensor& x) {
         F::batch_norm_backward_elemt(x.clone(), x, mean(x), var(x), {}, mean(x), mean(x),
                                      Tensor::ones({}, DType::Float64));
       }},
      {"batch_norm_fused_train",
       [](const Tensor& x) { F::batch_norm_fused_train(x, x.clone(), {}, {}, 1e-5); }},
      {"batch_norm_fused_train_update",
       [=](const Tensor& x) {
         F::batch_norm_fused_train_update(x, x.clone(), mean(x), var(x), {}, {}, 0.1, 1e-5);
       }},
      {"batch_norm_fused_infer",
       [=](const Tensor& x) {
         F::batch_norm_fused_infer(x, x.clone(), mean(x), var(x), {}, {}, 1e-5);
       }},
      {"batch_norm_fused_backward",
       [=](const Tensor& x) {
         F::batch_norm_fused_backward(x.clone(), x, x.clone(), {}, mean(x), var(x));
       }},
      {"batch_norm_fused_backward_infer",
       [=](const Tensor& x) {
         F::batch_norm_fused_backward_infer(x.clone(), x, x.clone(), {}, mean(x), var(x), 1e-5);
       }},
      {"update_running_stats",
       [=](const Tensor& x) {
         const Tensor channel = Tensor::ones({x.shape()[1]}, DType::Float64);
         F::update_running_stats(mean(x), var(x),
                                 {Tensor::full({}, 4, DType::Float64), channel, channel}, 0.1);
       }},
  };
}

/// The functions that explain() knows, as its message lists them.
std::string known_functions() {
  try {
    halnorm::explain("", Tensor());
  } catch (const halnorm::ValueError& error) {
    const std::string message = error.what();
    const std::string start = "wanted one of ";
    return message.substr(message.find(start) + start.size());
  }
  return "";
}

}  // namespace

TEST(ExplainedFunctions, ArePlannedAsTheyRun) {
  std::string names;
  for (const Function& function : functions()) {
    names += (names.empty() ? "" : ", ") + function.name;
    for (const Shape& shape : std::vector<Shape>{
             {9, 40, 100}, {20, 100}, {4, 3, 64}, {2111, 3}, {17, 190, 9}, {1, 2, 150001}}) {
      const Tensor x = Tensor::randn(shape, 1);
      std::string plans;
      halnorm::set_call_sink([&](const CallReport& r) {
        EXPECT_EQ(r.function, function.name);
        plans += (plans.empty() ? "" : ", then ") + std::string(r.plan);
      });
      function.call(x);
      halnorm::set_call_sink({});
      EXPECT_EQ(halnorm::explain(function.name, x), plans) << function.name;
    }
  }
  EXPECT_EQ(known_functions(), names) << "a function that this test does not call";
}

/// An operation of the list in cmake/kernels.cmake is a function that explain() knows, or has the
/// kernel of one.
TEST(ExplainedFunctions, UseEveryOperation) {
  const Tensor x = Tensor::empty({9, 40, 100});
  std::string kernels;
  for (const Function& function : functions()) {
    kernels += halnorm::explain(function.name, x) + "\n";
  }
  std::istringstream operations(HALNORM_TEST_BASE_OPERATIONS);
  int count = 0;
  for (std::string operation; operations >> operation; ++count) {
    const bool is_function = (known_functions() + ",").find(operation + ",") != std::string::npos;
    const bool is_kernel = kernels.find("halnorm_" + operation + "_ncl_") != std::string::npos;
    EXPECT_TRUE(is_function || is_kernel)
        << operation << " is missing in runtime/functional/explain.cpp";
  }
  EXPECT_GE(count, 13);
}
