// The cost of a call beside its kernel:
//   call/...    (20, 100), the reference manual's example, by each way to call; in ./dev bench
//   output/KB   inference with a given output beside a new one in each call
//   host/...    training and backward between OpenMP regions of a host, by each way to run threads
// The last two: build/release/bench/halnorm_bench_calls --benchmark_filter=output

#include <halnorm/halnorm.h>
#include <halnorm/openmp.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "measure.h"
#include "suite.h"

namespace halnorm::bench {
namespace {

namespace F = functional;
using Run = std::function<void()>;

constexpr BenchShape shape{20, 100, 1, 2};
constexpr Check check{Layout::Nlc, 32 * 0x1p-24};

void add(const std::string& name, const std::function<void(benchmark::State&)>& body) {
  benchmark::RegisterBenchmark(name.c_str(), body)->UseManualTime();
}

/// A module with the problem's parameters, and the tensors to call it with.
struct SmallCall {
  Problem problem{shape, DType::Float32};
  Tensor x = problem.view(problem.x, Layout::Nlc);
  Tensor dy = problem.view(problem.dy, Layout::Nlc);
  Tensor out = problem.view(problem.out, Layout::Nlc);
  nn::BatchNorm1d module{shape.c, {.eps = eps}};

  SmallCall() {
    module.weight.data().copy_(problem.weight);
    module.bias.data().copy_(problem.bias);
  }
};

/// Verifies and times a call that returns y.
void add_forward(const std::string& name, bool grad,
                 const std::function<Tensor(SmallCall&)>& call) {
  add("call/" + name, [=](benchmark::State& state) {
    const auto no_grad = grad ? nullptr : std::make_unique<NoGradGuard>();
    SmallCall small;
    small.problem.spoil();
    small.out.copy_(call(small));
    small.problem.verify_y(check, false);
    measure(state, [&] { benchmark::DoNotOptimize(call(small)); });
  });
}

void forward_backward(benchmark::State& state) {
  SmallCall small;
  small.module(small.x);
  small.out.copy_(small.module.backward(small.dy));
  small.problem.verify_dx(check);
  small.problem.verify_gradients(check, small.module.weight.grad(), small.module.bias.grad());
  measure(state, [&] {
    small.module(small.x, small.out);
    benchmark::DoNotOptimize(small.module.backward(small.dy));
  });
}

void add_small_calls() {
  for (const bool grad : {true, false}) {
    const std::string name = std::string("module, training") + (grad ? "" : ", no grad");
    add_forward(name, grad, [](SmallCall& s) { return s.module(s.x); });
    add_forward(name + ", out", grad, [](SmallCall& s) { return s.module(s.x, s.out); });
  }
  add_forward("functional::batch_norm_train, out", true, [](SmallCall& s) {
    return F::batch_norm_train(s.x, s.problem.weight, s.problem.bias, eps, s.out).y;
  });
  add("call/module, training, forward and backward", forward_backward);
}

/// Times calls into a given output and into a new one, in turn.
void run_outputs(benchmark::State& state) {
  set_num_threads(1);
  const Tensor x = Tensor::randn({state.range(0) * 16, 16}, 1);
  const Tensor zeros = Tensor::zeros({16}), ones = Tensor::ones({16}), out = x.clone();
  const auto best =
      best_in_turn<Run>(state, {[&] { F::batch_norm_infer(x, zeros, ones, {}, {}, eps, out); },
                                [&] { F::batch_norm_infer(x, zeros, ones, {}, {}, eps); }});
  state.counters["given_ns"] = best[0];
  state.counters["new_ns"] = best[1];
}

/// A step of a host: a region of its own before each of our two calls.
void run_host(benchmark::State& state, const Run& choose) {
  Shape extents{state.range(0), state.range(1), state.range(2)};
  if (extents.back() == 1) extents.pop_back();
  const Tensor x = Tensor::randn(extents, 1), dy = Tensor::randn(extents, 2);
  const Tensor y = x.clone(), dx = x.clone();
  std::vector<float> values(static_cast<std::size_t>(x.numel()));
  const auto region = [&values] {
#pragma omp parallel for schedule(static)
    for (float& value : values) value = std::sqrt(value + 1.0F);
  };
  choose();
  measure(state, [&] {
    region();
    const auto forward = F::batch_norm_train(x, {}, {}, eps, y);
    region();
    F::batch_norm_backward(dy, x, {}, forward.mean, forward.invstd, dx);
  });
  state.SetLabel(std::to_string(x.numel() / 256) + " KB");
  set_parallel_for({});
  set_num_threads(0);
}

void add_hosts() {
  const std::map<std::string, Run> ways{{"pool", [] {}},
                                        {"use_openmp", [] { use_openmp(); }},
                                        {"one thread", [] { set_num_threads(1); }}};
  for (const auto& [name, choose] : ways) {
    benchmark::RegisterBenchmark(("host/" + name).c_str(), run_host, choose)
        ->Args({128, 256, 1})
        ->Args({32, 64, 64})
        ->Args({1024, 256, 1})
        ->Args({32, 64, 784})
        ->Args({64, 256, 784})
        ->UseManualTime();
  }
}

}  // namespace
}  // namespace halnorm::bench

int main(int argc, char** argv) {
  return halnorm::bench::run_benchmarks(argc, argv, [] {
    halnorm::bench::add_small_calls();
    benchmark::RegisterBenchmark("output/KB", halnorm::bench::run_outputs)
        ->RangeMultiplier(4)
        ->Range(1, 1 << 18)
        ->UseManualTime();
    halnorm::bench::add_hosts();
  });
}
