// What one small call costs: (20, 100), the reference manual's example, where the arithmetic takes
// well under a microsecond and the rest is checks, allocation and dispatch. Threads are left as the
// library chooses them.

#include <halnorm/halnorm.h>

#include <exception>
#include <functional>
#include <iostream>
#include <string>

#include "measure.h"
#include "problem.h"

namespace halnorm::bench {
namespace {

constexpr BenchShape shape = nc(20, 100, true, "");
constexpr double tolerance = 32 * 0x1p-24;

Tensor channel_view(const FloatBuffer& buffer) {
  return Tensor::from_blob(buffer.data(), {shape.c}, DType::Float32);
}

/// A module with the problem's parameters, and the tensors to call it with.
struct SmallCall {
  Problem problem{shape, Element::F32};
  Tensor x = Tensor::from_blob(problem.x.data(), {shape.n, shape.c}, DType::Float32);
  Tensor dy = Tensor::from_blob(problem.dy.data(), {shape.n, shape.c}, DType::Float32);
  Tensor out = Tensor::from_blob(problem.out.data(), {shape.n, shape.c}, DType::Float32);
  Tensor weight = channel_view(problem.weight);
  Tensor bias = channel_view(problem.bias);
  nn::BatchNorm1d module{shape.c, {.eps = eps}};

  SmallCall() {
    module.weight.data().copy_(weight);
    module.bias.data().copy_(bias);
  }

  /// Runs a call once and judges the y that it returns.
  void verify_y(const std::function<Tensor()>& call) {
    problem.out.spoil();
    const Tensor y = call();
    out.copy_(y);
    problem.verify_train(Layout::Nlc, tolerance);
  }

  void verify_dx() {
    module.zero_grad();
    module(x);
    out.copy_(module.backward(dy));
    problem.verify_backward(Layout::Nlc, module.weight.grad().data<float>(),
                            module.bias.grad().data<float>(), tolerance);
  }
};

/// Verifies and times a call that returns y.
template <class Call>
void measure_forward(benchmark::State& state, SmallCall& small, Call call) {
  small.verify_y(call);
  measure(state, [&call] { benchmark::DoNotOptimize(call()); });
}

void operator_training(benchmark::State& state) {
  SmallCall small;
  measure_forward(state, small, [&] { return small.module(small.x); });
}

void operator_training_out(benchmark::State& state) {
  SmallCall small;
  measure_forward(state, small, [&] { return small.module(small.x, small.out); });
}

void operator_no_grad(benchmark::State& state) {
  const NoGradGuard guard;
  SmallCall small;
  measure_forward(state, small, [&] { return small.module(small.x); });
}

void operator_no_grad_out(benchmark::State& state) {
  const NoGradGuard guard;
  SmallCall small;
  measure_forward(state, small, [&] { return small.module(small.x, small.out); });
}

void functional_out(benchmark::State& state) {
  SmallCall small;
  measure_forward(state, small, [&] {
    return functional::batch_norm_train(small.x, small.weight, small.bias, eps, small.out).y;
  });
}

void forward_backward(benchmark::State& state) {
  SmallCall small;
  small.verify_dx();
  measure(state, [&] {
    small.module(small.x, small.out);
    benchmark::DoNotOptimize(small.module.backward(small.dy));
  });
}

void register_calls() {
  const auto add = [](const char* name, auto function) {
    benchmark::RegisterBenchmark((std::string("call/") + name).c_str(), function)->UseManualTime();
  };
  add("module, training", operator_training);
  add("module, training, out", operator_training_out);
  add("module, training, no grad", operator_no_grad);
  add("module, training, no grad, out", operator_no_grad_out);
  add("functional::batch_norm_train, out", functional_out);
  add("module, training, forward and backward", forward_backward);
}

}  // namespace
}  // namespace halnorm::bench

int main(int argc, char** argv) {
  try {
    halnorm::bench::register_calls();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "call: " << error.what() << '\n';
    return 1;
  }
}
