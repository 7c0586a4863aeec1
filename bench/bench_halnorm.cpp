// Our kernels through halnorm::functional, beside the floor on the same buffers and threads.

#include <halnorm/halnorm.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "measure.h"
#include "suite.h"

namespace halnorm::bench {
namespace {

/// y may be off by some float32 roundings of the terms that it is made of, 32 units in the last
/// place, and by its own rounding, for which there is a unit as well.
double tolerance_of(Element element) {
  const double arithmetic = 32 * 0x1p-24;
  return element == Element::F32 ? arithmetic : arithmetic + 2 * rounding_of(element);
}

#if defined(__clang__)
constexpr const char* compiler = __VERSION__;
#else
constexpr const char* compiler = "GCC " __VERSION__;
#endif

DType dtype_of(Element element) {
  switch (element) {
    case Element::F32:
      return DType::Float32;
    case Element::F16:
      return DType::Float16;
    case Element::BF16:
      return DType::BFloat16;
  }
  throw std::invalid_argument("not an element");
}

/// The dtypes of which this library has kernels.
std::vector<Element> linked_elements() {
  std::vector<Element> linked;
  for (const Element element : elements) {
    const auto kernels = halnorm::kernels();
    const bool found = std::ranges::any_of(
        kernels, [&](const KernelInfo& kernel) { return kernel.dtype == name_of(element); });
    if (found) linked.push_back(element);
  }
  return linked;
}

Tensor view(const DataBuffer& buffer, const Case& item) {
  const auto [n, c, l] = std::tie(item.shape.n, item.shape.c, item.shape.l);
  const DType dtype = dtype_of(item.element);
  if (item.shape.rank == 2) return Tensor::from_blob(buffer.data(), {n, c}, dtype);
  std::vector<std::int64_t> strides{c * l, l, 1};
  if (item.layout == Layout::Nlc) strides = {l * c, 1, c};
  return Tensor::from_blob(buffer.data(), {n, c, l}, dtype, strides);
}

Tensor channel_view(const FloatBuffer& buffer) {
  return Tensor::from_blob(buffer.data(), {static_cast<std::int64_t>(buffer.size())},
                           DType::Float32);
}

struct Tensors {
  Tensor x, dy, out, weight, bias, running_mean, running_var;

  Tensors(const Problem& problem, const Case& item)
      : x(view(problem.x, item)),
        dy(view(problem.dy, item)),
        out(view(problem.out, item)),
        weight(channel_view(problem.weight)),
        bias(channel_view(problem.bias)),
        running_mean(channel_view(problem.running_mean)),
        running_var(channel_view(problem.running_var)) {}
};

void run_train(benchmark::State& state, const Case& item, Problem& problem, const Tensors& t) {
  const auto call = [&t] {
    benchmark::DoNotOptimize(functional::batch_norm_train(t.x, t.weight, t.bias, eps, t.out));
  };
  call();
  problem.verify_train(item.layout, tolerance_of(item.element));
  measure(state, call);
}

void run_infer(benchmark::State& state, const Case& item, Problem& problem, const Tensors& t) {
  const auto call = [&t] {
    benchmark::DoNotOptimize(functional::batch_norm_infer(t.x, t.running_mean, t.running_var,
                                                          t.weight, t.bias, eps, t.out));
  };
  call();
  problem.verify_infer(item.layout, tolerance_of(item.element));
  measure(state, call);
}

void run_backward(benchmark::State& state, const Case& item, Problem& problem, const Tensors& t) {
  const auto forward = functional::batch_norm_train(t.x, t.weight, t.bias, eps, t.out);
  problem.out.spoil();
  const auto call = [&] {
    return functional::batch_norm_backward(t.dy, t.x, t.weight, forward.mean, forward.invstd,
                                           t.out);
  };
  const auto gradients = call();
  problem.verify_backward(item.layout, gradients.dweight.data<float>(),
                          gradients.dbias.data<float>(), tolerance_of(item.element));
  measure(state, [&call] { benchmark::DoNotOptimize(call()); });
}

void run_halnorm(benchmark::State& state, const Case& item, Problem& problem) {
  set_num_threads(item.threads);
  problem.out.spoil();
  const Tensors tensors(problem, item);
  switch (item.operation) {
    case Operation::Train:
      run_train(state, item, problem, tensors);
      break;
    case Operation::Infer:
      run_infer(state, item, problem, tensors);
      break;
    case Operation::Backward:
      run_backward(state, item, problem, tensors);
      break;
  }
  state.SetLabel(last_kernel());
}

/// Times all of the floor's loops, a sample of each in turn; the fastest is the floor.
void run_all_floors(benchmark::State& state, const Case& item, Problem& problem, ThreadTeam& team) {
  const auto runner = [&](const FloorLoop& loop) {
    return [&problem, &team, &item, loop] {
      benchmark::DoNotOptimize(run_floor(loop, item.operation, problem, team));
    };
  };
  using Runner = decltype(runner(FloorLoop{}));
  const std::vector<FloorLoop> loops = floor_loops(item.threads);
  std::vector<Sampler<Runner>> samplers;
  for (const FloorLoop& loop : loops) {
    problem.out.spoil();
    runner(loop)();
    verify_floor(item.operation, problem);
    samplers.emplace_back(runner(loop));
  }
  const auto sample_all = [&samplers] {
    double seconds = 0.0;
    for (auto& sampler : samplers) seconds += sampler.sample();
    return seconds;
  };
  for ([[maybe_unused]] auto step : state) state.SetIterationTime(sample_all());
  while (samplers.front().samples() < fewest_samples) sample_all();
  const auto best = std::ranges::min_element(samplers, {}, &Sampler<Runner>::best_ns);
  const FloorLoop& loop = loops[static_cast<std::size_t>(best - samplers.begin())];
  state.counters["best_ns"] = best->best_ns();
  state.SetLabel(std::string(loop.name) + (loop.serial ? ", 1 thread" : ", all threads"));
}

}  // namespace
}  // namespace halnorm::bench

int main(int argc, char** argv) {
  using namespace halnorm::bench;
  const std::string version = std::to_string(HALNORM_VERSION_MAJOR) + "." +
                              std::to_string(HALNORM_VERSION_MINOR) + "." +
                              std::to_string(HALNORM_VERSION_PATCH);
  benchmark::AddCustomContext("halnorm_version", version);
  benchmark::AddCustomContext("compiler", compiler);
  std::map<int, std::unique_ptr<ThreadTeam>> teams;
  const auto floor = [&teams](benchmark::State& state, const Case& item, Problem& problem) {
    auto& team = teams[item.threads];
    if (!team) team = std::make_unique<ThreadTeam>(item.threads);
    run_all_floors(state, item, problem, *team);
  };
  return run_program(argc, argv, {"halnorm", run_halnorm, floor, linked_elements()});
}
