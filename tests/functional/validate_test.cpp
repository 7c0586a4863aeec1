#include <cmath>
#include <limits>
#include <utility>

#include "support/calls.h"

namespace F = halnorm::functional;
using calls::Arguments;
using calls::expect_refused;
using calls::Function;
using halnorm::DType;
using halnorm::DTypeError;
using halnorm::Shape;
using halnorm::ShapeError;
using halnorm::Tensor;
using halnorm::ValueError;

TEST(Validate, TheArgumentsAreValidToBeginWith) {
  for (const Function& function : calls::all) {
    SCOPED_TRACE(function.name);
    EXPECT_NO_THROW(function.call(Arguments()));
  }
}

TEST(Validate, UndefinedData) {
  for (const Function& function : calls::all) {
    Arguments a;
    a.x = Tensor();
    expect_refused<ValueError>(function, a, {"x", "undefined"});
  }
}

TEST(Validate, WrongRank) {
  for (const Function& function : calls::all) {
    for (const Shape& shape : {Shape{}, Shape{3}}) {
      Arguments a;
      a.x = a.dy = a.out = Tensor::zeros(shape);
      expect_refused<ShapeError>(function, a, {"x has shape", "(N, C)"});
    }
  }
}

TEST(Validate, DataOfAnotherDtype) {
  for (const Function& function : calls::all) {
    Arguments a;
    a.x = a.x.to(DType::Int64);
    expect_refused<DTypeError>(function, a,
                               {"x is int64", "float16, bfloat16, float32 or float64"});
  }
}

TEST(Validate, WrongNumberOfChannels) {
  const auto spoil = [](const Function& function, Tensor Arguments::*member, const char* name) {
    for (const Shape& shape : {Shape{4}, Shape{3, 1}, Shape{}}) {
      Arguments a;
      a.*member = Tensor::zeros(shape, (a.*member).dtype());
      expect_refused<ShapeError>(function, a, {name, "3 elements", "not ("});
    }
  };
  for (const Function& f : {calls::train, calls::train_update, calls::infer, calls::elemt}) {
    spoil(f, &Arguments::weight, "weight");
    spoil(f, &Arguments::bias, "bias");
  }
  for (const Function& f : {calls::train_update, calls::infer, calls::backward_infer}) {
    spoil(f, &Arguments::running_mean, "running_mean");
    spoil(f, &Arguments::running_var, "running_var");
  }
  for (const Function& f : {calls::backward, calls::elemt, calls::reduce, calls::backward_elemt}) {
    spoil(f, &Arguments::mean, "mean");
    spoil(f, &Arguments::invstd, "invstd");
  }
  spoil(calls::backward, &Arguments::weight, "weight");
  spoil(calls::backward_elemt, &Arguments::sum_dy, "sum_dy");
  spoil(calls::backward_elemt, &Arguments::sum_dy_xmu, "sum_dy_xmu");
}

TEST(Validate, ParametersOfAnotherDtype) {
  const auto spoil = [](const Function& function, Tensor Arguments::*member, const char* name) {
    for (const DType dtype : {DType::Float64, DType::Int64, DType::Float16}) {
      Arguments a;
      a.*member = (a.*member).to(dtype);
      expect_refused<DTypeError>(function, a, {name, halnorm::name_of(dtype), "float32"});
    }
  };
  spoil(calls::train, &Arguments::weight, "weight");
  spoil(calls::train, &Arguments::bias, "bias");
  spoil(calls::train_update, &Arguments::running_mean, "running_mean");
  spoil(calls::infer, &Arguments::running_var, "running_var");
  spoil(calls::backward, &Arguments::dy, "dy");
  spoil(calls::train, &Arguments::out, "out");
  Arguments a;
  a.mean = a.mean.to(DType::Float16);
  expect_refused<DTypeError>(calls::backward, a, {"mean", "float16", "float64"});
}

TEST(Validate, MissingStatistics) {
  for (const Function& function : {calls::train_update, calls::infer, calls::backward_infer}) {
    Arguments a;
    a.running_var = Tensor();
    expect_refused<ValueError>(function, a, {"running_var", "undefined"});
  }
  for (const Function& function :
       {calls::backward, calls::elemt, calls::reduce, calls::backward_elemt}) {
    Arguments a;
    a.invstd = Tensor();
    expect_refused<ValueError>(function, a, {"invstd", "undefined"});
  }
}

TEST(Validate, HalfGivenRunningStatistics) {
  for (const bool training : {false, true}) {
    for (const bool mean : {false, true}) {
      const Arguments valid;
      Arguments a;
      (mean ? a.running_var : a.running_mean) = Tensor();
      const Function function{"batch_norm", [training](const Arguments& b) {
                                F::batch_norm(b.x, b.running_mean, b.running_var, b.weight, b.bias,
                                              training, 0.1, b.epsilon, b.out);
                              }};
      expect_refused<ValueError>(
          function, a,
          {"running_mean and running_var must either both", mean ? "running_mean" : "running_var"});
    }
  }
}

TEST(Validate, Epsilon) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (const Function& function :
       {calls::train, calls::train_update, calls::infer, calls::backward_infer}) {
    for (const auto& [bad, text] : {std::pair{-1e-5, "-1e-05"}, std::pair{std::nan(""), "nan"},
                                    std::pair{infinity, "inf"}, std::pair{-infinity, "-inf"}}) {
      Arguments a;
      a.epsilon = bad;
      expect_refused<ValueError>(function, a, {"eps", text, "at least 0"});
    }
  }
}

TEST(Validate, Factor) {
  for (const auto& [bad, text] : {std::pair{std::nan(""), "nan"},
                                  std::pair{std::numeric_limits<double>::infinity(), "inf"}}) {
    Arguments a;
    a.factor = bad;
    expect_refused<ValueError>(calls::train_update, a, {"factor", text, "finite"});
    expect_throws<ValueError>(
        [&, bad = bad] {
          F::update_running_stats(a.running_mean, a.running_var, F::batch_norm_moments(a.x), bad);
        },
        {"update_running_stats", "factor", "finite"});
  }
}

TEST(Validate, OneValuePerChannel) {
  for (const Shape& shape : {Shape{1, 3}, Shape{1, 3, 1}}) {
    for (const Function& function : {calls::train, calls::train_update}) {
      Arguments a;
      a.x = a.out = Tensor::ones(shape);
      const std::string size = shape.size() == 2 ? "(1, 3)" : "(1, 3, 1)";
      expect_refused<ValueError>(
          function, a,
          {"Expected more than 1 value per channel when training, got input size " + size});
    }
  }
}

TEST(Validate, GradientAndOutputOfAnotherShape) {
  for (const Function& function :
       {calls::backward, calls::backward_infer, calls::reduce, calls::backward_elemt}) {
    Arguments a;
    a.dy = Tensor::zeros({4, 3, 6});
    expect_refused<ShapeError>(function, a, {"dy", "(4, 3, 6)", "(4, 3, 5)"});
  }
  for (const Function& function :
       {calls::train, calls::infer, calls::backward, calls::elemt, calls::backward_elemt}) {
    Arguments a;
    a.out = Tensor::zeros({4, 15});
    expect_refused<ShapeError>(function, a, {"out", "(4, 15)", "(4, 3, 5)"});
  }
}

TEST(Validate, HugeExtents) {
  float one = 1;
  constexpr std::int64_t huge = std::int64_t{1} << 40;
  for (const Shape& shape : {Shape{huge, huge}, Shape{huge, 3, huge}}) {
    const std::vector<std::int64_t> strides(shape.size(), 0);
    expect_throws<ShapeError>([&] { Tensor::from_blob(&one, shape, DType::Float32, strides); },
                              {"63 bits"});
  }
}

TEST(Validate, Counts) {
  for (const auto& [bad, text] :
       {std::pair{-1.0, "-1.0"}, std::pair{0.5, "0.5"}, std::pair{20.25, "20.25"},
        std::pair{0x1p53 + 2, "9007199254740994.0"}, std::pair{HUGE_VAL, "inf"},
        std::pair{std::nan(""), "nan"}}) {
    Arguments a;
    a.count = Tensor::full({}, bad, DType::Float64);
    expect_refused<ValueError>(calls::backward_elemt, a, {"count", text, "whole"});
    const F::Moments moments{a.count, a.mean, a.invstd};
    expect_throws<ValueError>(
        [&] { F::update_running_stats(a.running_mean, a.running_var, moments, 0.1); },
        {std::string("update_running_stats: count is ") + text});
    EXPECT_TRUE(calls::same_values(a.running_var, Arguments().running_var));
    const F::Moments good{Tensor::full({}, 0x1p53, DType::Float64), a.mean, a.invstd};
    for (const auto& [left, right] : {std::pair{good, moments}, std::pair{moments, good}}) {
      expect_throws<ValueError>([&] { F::merge(left, right); },
                                {std::string("merge: count is ") + text});
    }
  }
  Arguments a;
  a.count = Tensor::ones({2}, DType::Float64);
  expect_refused<ShapeError>(calls::backward_elemt, a, {"count", "(2,)"});
}

TEST(Validate, MergedMomentsMustBelongTogether) {
  const F::Moments three = F::batch_norm_moments(Tensor::ones({2, 3}));
  const F::Moments four = F::batch_norm_moments(Tensor::ones({2, 4}));
  expect_throws<ShapeError>([&] { F::merge(three, four); }, {"merge", "3", "(4,)"});
  expect_throws<ValueError>([&] { F::merge({}, four); }, {"merge", "undefined"});
  const Arguments a;
  expect_throws<ShapeError>(
      [&] { F::update_running_stats(a.running_mean, a.running_var, four, 0.1); },
      {"update_running_stats", "3", "(4,)"});
}
