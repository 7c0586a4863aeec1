#include <cmath>
#include <functional>
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

namespace {

const std::vector<Function> forwards = {calls::fused_train, calls::fused_train_update,
                                        calls::fused_infer};
const std::vector<Function> backwards = {calls::fused_backward, calls::fused_backward_infer};

std::vector<Function> both() {
  std::vector<Function> all = forwards;
  all.insert(all.end(), backwards.begin(), backwards.end());
  return all;
}

void spoil_shape(const Function& function, Tensor Arguments::*member, const Shape& shape,
                 std::initializer_list<std::string_view> fragments) {
  Arguments a;
  a.*member = Tensor::zeros(shape, (a.*member).dtype());
  expect_refused<ShapeError>(function, a, fragments);
}

}  // namespace

TEST(FusedValidate, DataThatIsNotLikeX) {
  for (const Function& f : forwards) {
    spoil_shape(f, &Arguments::addend, {4, 3, 6}, {"addend", "(4, 3, 6)", "(4, 3, 5)"});
    spoil_shape(f, &Arguments::out, {4, 15}, {"out", "(4, 15)", "(4, 3, 5)"});
    Arguments a;
    a.addend = a.addend.to(DType::Float64);
    expect_refused<DTypeError>(f, a, {"addend", "float64", "float32"});
  }
  for (const Function& f : backwards) {
    spoil_shape(f, &Arguments::dy, {3, 4, 5}, {"dy", "(3, 4, 5)", "(4, 3, 5)"});
    spoil_shape(f, &Arguments::y, {4, 3}, {"y", "(4, 3)", "(4, 3, 5)"});
    Arguments a;
    a.y = Tensor();
    expect_refused<ValueError>(f, a, {"y is undefined"});
  }
}

TEST(FusedValidate, WrongNumberOfChannels) {
  for (const Function& f : both()) {
    spoil_shape(f, &Arguments::weight, {4}, {"weight", "3 elements", "(4,)"});
  }
  for (const Function& f : forwards) {
    spoil_shape(f, &Arguments::bias, {3, 1}, {"bias", "3 elements", "(3, 1)"});
  }
  for (const Function& f :
       {calls::fused_train_update, calls::fused_infer, calls::fused_backward_infer}) {
    spoil_shape(f, &Arguments::running_mean, {2}, {"running_mean", "3 elements"});
    spoil_shape(f, &Arguments::running_var, {}, {"running_var", "3 elements"});
    Arguments a;
    a.running_var = Tensor();
    expect_refused<ValueError>(f, a, {"running_var", "undefined"});
  }
  spoil_shape(calls::fused_backward, &Arguments::mean, {4}, {"mean", "3 elements"});
  spoil_shape(calls::fused_backward, &Arguments::invstd, {4}, {"invstd", "3 elements"});
}

TEST(FusedValidate, EpsilonFactorAndBatch) {
  for (const Function& f : {calls::fused_train, calls::fused_train_update, calls::fused_infer,
                            calls::fused_backward_infer}) {
    for (const auto& [bad, text] : {std::pair{-1e-5, "-1e-05"}, std::pair{std::nan(""), "nan"}}) {
      Arguments a;
      a.epsilon = bad;
      expect_refused<ValueError>(f, a, {"eps", text, "at least 0"});
    }
  }
  Arguments a;
  a.factor = std::nan("");
  expect_refused<ValueError>(calls::fused_train_update, a, {"factor", "nan", "finite"});
  for (const Function& f : {calls::fused_train, calls::fused_train_update}) {
    Arguments one;
    one.x = one.addend = one.out = Tensor::ones({1, 3});
    expect_refused<ValueError>(
        f, one, {"Expected more than 1 value per channel when training, got input size (1, 3)"});
  }
}

TEST(FusedValidate, OutputsThatOverlapAnArgument) {
  const Tensor memory = Tensor::randn({200}, 9);
  const auto at = [&](std::int64_t first) {
    return memory.narrow(0, first, 60).reshape({4, 3, 5});
  };
  for (const Function& f : forwards) {
    Arguments a;
    a.x = at(0);
    a.addend = at(100);
    for (const std::int64_t first : {1, 99}) {
      a.out = at(first);
      expect_refused<ShapeError>(f, a, {"out overlaps"});
    }
    Arguments twice;  // y would overwrite an addend that is x, whose statistics are needed
    twice.x = twice.addend = at(0);
    twice.out = at(0);
    expect_refused<ShapeError>(f, twice, {"out overlaps"});
  }
  for (const Function& f : backwards) {
    for (Tensor Arguments::*input : {&Arguments::x, &Arguments::y}) {
      Arguments a;
      a.out = a.*input;
      expect_refused<ShapeError>(f, a, {"out overlaps"});
    }
  }
  float one = 1;
  Arguments a;
  a.running_var = Tensor::from_blob(&one, {3}, DType::Float32, {0});
  expect_refused<ShapeError>(calls::fused_train_update, a, {"running_var"});
}

TEST(FusedValidate, Slopes) {
  const Arguments a;
  for (const double slope : {-0.01, std::nan(""), HUGE_VAL}) {
    const auto refused = [&](const char* name, const std::function<void()>& call) {
      expect_throws<ValueError>(call, {name, "slope", "wanted a finite value of at least 0"});
    };
    refused("batch_norm_fused_train", [&] {
      F::batch_norm_fused_train(a.x, a.addend, a.weight, a.bias, a.epsilon, {}, slope);
    });
    refused("batch_norm_fused_train_update", [&] {
      F::batch_norm_fused_train_update(a.x, a.addend, a.running_mean, a.running_var, a.weight,
                                       a.bias, 0.1, a.epsilon, {}, slope);
    });
    refused("batch_norm_fused_infer", [&] {
      F::batch_norm_fused_infer(a.x, a.addend, a.running_mean, a.running_var, a.weight, a.bias,
                                a.epsilon, {}, slope);
    });
    refused("batch_norm_fused_backward", [&] {
      F::batch_norm_fused_backward(a.dy, a.x, a.y, a.weight, a.mean, a.invstd, {}, slope);
    });
    refused("batch_norm_fused_backward_infer", [&] {
      F::batch_norm_fused_backward_infer(a.dy, a.x, a.y, a.weight, a.running_mean, a.running_var,
                                         a.epsilon, {}, slope);
    });
  }
}
