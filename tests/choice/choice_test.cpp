#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "halnorm/functional_fused.h"
#include "halnorm/halnorm.h"
#include "support/cases/element.h"
#include "support/throws.h"

// For any HALNORM_OPERATIONS and HALNORM_DTYPES: the functions of the chosen operations compute,
// and the others throw an error that names the option.

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;

namespace {

constexpr std::string_view operations = HALNORM_TEST_OPERATIONS;
constexpr std::string_view dtypes = HALNORM_TEST_DTYPES;

bool has(std::string_view list, std::string_view word) {
  return list.find(word) != std::string_view::npos;
}

bool has_dtype(DType dtype) {
  return (std::string(", ") + std::string(dtypes))
             .find(", " + std::string(element::short_name(dtype))) != std::string::npos;
}

/// A dtype of this build.
DType some_dtype() {
  for (const DType dtype : {DType::Float32, DType::Float64, DType::Float16}) {
    if (has_dtype(dtype)) {
      return dtype;
    }
  }
  return DType::BFloat16;
}

/// The arguments of every call; the outputs start as 7.
struct Arguments {
  explicit Arguments(DType dtype, DType parameters)
      : x(Tensor::from(std::span<const double>(values), {4, 1}).to(dtype)),
        out(Tensor::full({4, 1}, 7, dtype)),
        mean(Tensor::full({1}, 7, parameters)),
        var(Tensor::full({1}, 7, parameters)),
        statistic(Tensor::ones({1}, DType::Float64)),
        count(Tensor::full({}, 4, DType::Float64)) {}
  explicit Arguments(DType dtype) : Arguments(dtype, element::of_parameters(dtype)) {}

  static constexpr double values[] = {1, 2, 3, 6};
  Tensor x, out, mean, var, statistic, count;
};

struct Function {
  std::string_view name;
  std::vector<std::string_view> groups;  ///< that have it
  std::function<void(const Arguments&)> call;
};

std::vector<Function> whole_functions() {
  return {
      {"batch_norm_train",
       {"training"},
       [](const Arguments& a) { F::batch_norm_train(a.x, {}, {}, 1e-5, a.out); }},
      {"batch_norm_train_update",
       {"training"},
       [](const Arguments& a) {
         F::batch_norm_train_update(a.x, a.mean, a.var, {}, {}, 0.5, 1e-5, a.out);
       }},
      {"batch_norm_infer",
       {"inference"},
       [](const Arguments& a) { F::batch_norm_infer(a.x, a.mean, a.var, {}, {}, 1e-5, a.out); }},
      {"batch_norm_backward",
       {"training", "fused"},
       [](const Arguments& a) {
         F::batch_norm_backward(a.x, a.x, {}, a.statistic, a.statistic, a.out);
       }},
      {"batch_norm_backward_infer",
       {"training", "fused"},
       [](const Arguments& a) {
         F::batch_norm_backward_infer(a.x, a.x, {}, a.mean, a.var, 1e-5, a.out);
       }},
  };
}

std::vector<Function> split_functions() {
  return {
      {"batch_norm_moments",
       {"training", "fused", "split"},
       [](const Arguments& a) { F::batch_norm_moments(a.x); }},
      {"batch_norm_elemt",
       {"inference", "training", "fused", "split"},
       [](const Arguments& a) {
         F::batch_norm_elemt(a.x, {}, {}, a.statistic, a.statistic, a.out);
       }},
      {"batch_norm_backward_reduce",
       {"training", "fused", "split"},
       [](const Arguments& a) {
         F::batch_norm_backward_reduce(a.x, a.x, a.statistic, a.statistic, {});
       }},
      {"batch_norm_backward_elemt",
       {"training", "fused", "split"},
       [](const Arguments& a) {
         F::batch_norm_backward_elemt(a.x, a.x, a.statistic, a.statistic, {}, a.statistic,
                                      a.statistic, a.count, a.out);
       }},
      {"update_running_stats",
       {"training", "fused", "split"},
       [](const Arguments& a) {
         F::update_running_stats(a.mean, a.var, {a.count, a.statistic, a.statistic}, 0.5);
       }},
  };
}

std::vector<Function> fused_functions() {
  return {
      {"batch_norm_fused_train",
       {"fused"},
       [](const Arguments& a) { F::batch_norm_fused_train(a.x, {}, {}, {}, 1e-5, a.out); }},
      {"batch_norm_fused_train_update",
       {"fused"},
       [](const Arguments& a) {
         F::batch_norm_fused_train_update(a.x, {}, a.mean, a.var, {}, {}, 0.5, 1e-5, a.out);
       }},
      {"batch_norm_fused_infer",
       {"fused"},
       [](const Arguments& a) {
         F::batch_norm_fused_infer(a.x, {}, a.mean, a.var, {}, {}, 1e-5, a.out);
       }},
      {"batch_norm_fused_backward",
       {"fused"},
       [](const Arguments& a) {
         F::batch_norm_fused_backward(a.x, a.x, a.x, {}, a.statistic, a.statistic, a.out);
       }},
      {"batch_norm_fused_backward_infer",
       {"fused"},
       [](const Arguments& a) {
         F::batch_norm_fused_backward_infer(a.x, a.x, a.x, {}, a.mean, a.var, 1e-5, a.out);
       }},
  };
}

std::vector<Function> functions() {
  std::vector<Function> all = whole_functions();
  for (const auto& some : {split_functions(), fused_functions()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

bool is_there(const Function& function) {
  return std::any_of(function.groups.begin(), function.groups.end(),
                     [](std::string_view group) { return has(operations, group); });
}

void expect_unchanged(const Arguments& a) {
  EXPECT_EQ(a.out.to_vector<double>(), std::vector<double>(4, 7));
  EXPECT_EQ(a.mean.to_vector<double>(), std::vector<double>{7});
  EXPECT_EQ(a.var.to_vector<double>(), std::vector<double>{7});
}

}  // namespace

TEST(Choice, AnOperationThatIsLeftOutIsRefused) {
  for (const Function& function : functions()) {
    SCOPED_TRACE(function.name);
    const Arguments a(some_dtype());
    if (is_there(function)) {
      EXPECT_NO_THROW(function.call(a));
      continue;
    }
    expect_throws<halnorm::KernelError>(
        [&] { function.call(a); },
        {std::string(function.name) + ": ",
         "HALNORM_OPERATIONS of this build is " + std::string(operations) + ", wanted ",
         function.groups.front()});
    expect_unchanged(a);
  }
}

TEST(Choice, AnOperationThatIsLeftOutIsNotExplained) {
  for (const Function& function : functions()) {
    const std::string name(function.name);
    SCOPED_TRACE(name);
    const Arguments a(some_dtype());
    if (is_there(function)) {
      EXPECT_TRUE(halnorm::explain(name, a.x).starts_with("halnorm_"))
          << halnorm::explain(name, a.x);
    } else {
      expect_throws<halnorm::KernelError>([&] { halnorm::explain(name, a.x); },
                                          {name + ": ", "HALNORM_OPERATIONS of this build is "});
    }
  }
}

TEST(Choice, ADtypeThatIsLeftOutIsRefused) {
  for (const DType dtype : {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64}) {
    for (const Function& function : functions()) {
      if (!is_there(function) || has_dtype(dtype) || function.name == "update_running_stats") {
        continue;
      }
      SCOPED_TRACE(function.name);
      const Arguments a(dtype);
      const std::string name(halnorm::name_of(dtype));
      expect_throws<halnorm::DTypeError>(
          [&] { function.call(a); },
          {std::string(function.name) + ": ", " is " + name + ", wanted ",
           "HALNORM_DTYPES of this build leaves " + name + " out"});
      expect_unchanged(a);
    }
  }
}

TEST(Choice, Float64ParametersBesideOtherDataNeedFloat64) {
  const bool infers = has(operations, "inference");
  if (!infers || has_dtype(DType::Float64)) {
    GTEST_SKIP() << "not of this build";
  }
  const Arguments a(some_dtype(), DType::Float64);
  expect_throws<halnorm::DTypeError>(
      [&] { F::batch_norm_infer(a.x, a.mean, a.var, {}, {}, 1e-5, a.out); },
      {"batch_norm_infer: running_mean is float64 beside ",
       "HALNORM_DTYPES of this build leaves float64 out"});
  expect_unchanged(a);
}

TEST(Choice, ListsWhatIsThere) {
  const std::vector<halnorm::KernelInfo> kernels = halnorm::kernels();
  ASSERT_FALSE(kernels.empty());
  for (const halnorm::KernelInfo& kernel : kernels) {
    EXPECT_TRUE(has(dtypes, kernel.dtype) || kernel.operation == "update_running_stats")
        << kernel.name;
    EXPECT_TRUE(has(operations, "fused") || !has(kernel.operation, "fused")) << kernel.name;
    EXPECT_TRUE(has(operations, "inference") || kernel.operation != "batch_norm_infer");
    EXPECT_TRUE(has(operations, "training") || !has(kernel.operation, "norm_train")) << kernel.name;
  }
}

// range_test.cpp has the other tests of the range, which need all operations.
TEST(Choice, InferenceHoldsBeyondFloat32) {
  if (!has(operations, "inference") || !has_dtype(DType::Float32)) {
    GTEST_SKIP() << "not of this build";
  }
  const Tensor x = Tensor::full({2, 3}, 3e38);
  const Tensor mean = Tensor::full({3}, -3e38);
  const Tensor var = Tensor::full({3}, 3e38);
  const double far = x.data<float>()[0];
  const std::vector<double> y = F::batch_norm_infer(x, mean, var, {}, {}, 0).to_vector<double>();
  const double want = 2 * far / std::sqrt(far);
  for (const double value : y) {
    EXPECT_NEAR(value, want, 1e-7 * want);
  }
  EXPECT_TRUE(has(halnorm::last_kernel(), "_f64__")) << halnorm::last_kernel();
}
