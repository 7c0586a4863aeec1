// Our kernels through halnorm::functional, beside the floor on the same buffers and threads, and
// fused operations beside the calls that they replace.

#include <halnorm/openmp.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "measure.h"
#include "suite.h"

/// From <omp.h>, which belongs to one compiler.
extern "C" void omp_set_num_threads(int threads);

namespace halnorm::bench {
namespace {

namespace F = functional;

/// y may be off by 32 units in the last place of float32 of its terms, and by its own rounding.
double tolerance_of(DType dtype) {
  const double arithmetic = 32 * 0x1p-24;
  return dtype == DType::Float32 ? arithmetic : arithmetic + 2 * rounding_of(dtype);
}

/// Whether this library has kernels of the dtype.
bool is_linked(const Case& item) {
  return std::ranges::any_of(
      kernels(), [&](const KernelInfo& kernel) { return kernel.dtype == item.dtype_name; });
}

/// A call, and the check of its last results.
struct Call {
  std::function<void()> run;
  std::function<void()> verify;
};

/// A call whose results are kept for the check.
template <class Run, class Verify>
Call keeping(const Run& run, const Verify& verify) {
  const auto last = std::make_shared<decltype(run())>();
  return {[=] {
            *last = {};  // the new results take the memory of the old ones
            *last = run();
          },
          [=] { verify(*last); }};
}

/// The tensors of a case, and the calls on them.
class Calls {
 public:
  Calls(const Case& item, Problem& problem)
      : p_(problem),
        check_{item.layout, tolerance_of(item.dtype)},
        fused_{item.layout, check_.tolerance, true},
        x_(problem.view(problem.x, item.layout)),
        dy_(problem.view(problem.dy, item.layout)),
        out_(problem.view(problem.out, item.layout)),
        forward_(F::batch_norm_train(x_, p_.weight, p_.bias, eps, out_)) {}

  Call of(const OperationInfo& info) {
    if (info.group == "fused") return fused(info.name);
    return info.group == "split" ? split(info.name) : plain(info.name);
  }

  /// The calls that a fused operation replaces.
  Call replaced(std::string_view operation);

 private:
  Call plain(std::string_view operation);
  Call split(std::string_view operation);
  Call fused(std::string_view operation);
  void verify_moments(const F::Moments& got) const;
  template <class Gradients>
  void verify_gradients(const Check& check, const Gradients& got) const {
    p_.verify_gradients(check, got.dweight, got.dbias);
    p_.verify_dx(check);
  }

  Problem& p_;
  Check check_, fused_;
  Tensor x_, dy_, out_, addend_;
  F::BatchNormForward forward_;
};

Call Calls::plain(std::string_view operation) {
  if (operation == "train") {
    return {[this] { F::batch_norm_train(x_, p_.weight, p_.bias, eps, out_); },
            [this] { p_.verify_train(check_); }};
  }
  if (operation == "infer") {
    return {[this] {
              F::batch_norm_infer(x_, p_.running_mean, p_.running_var, p_.weight, p_.bias, eps,
                                  out_);
            },
            [this] { p_.verify_infer(check_); }};
  }
  return keeping(
      [this] {
        return F::batch_norm_backward(dy_, x_, p_.weight, forward_.mean, forward_.invstd, out_);
      },
      [this](const auto& got) { verify_gradients(check_, got); });
}

void Calls::verify_moments(const F::Moments& got) const {
  const ChannelSums& wanted = p_.sums(check_.layout);
  const auto count = static_cast<double>(p_.shape().per_channel());
  auto m2 = wanted.invstd;
  for (double& v : m2) v = (1 / (v * v) - eps) * count;
  p_.verify_channels("mean", got.mean, wanted.mean, wanted.mean, check_.tolerance);
  p_.verify_channels("m2", got.m2, m2, m2, check_.tolerance);
}

Call Calls::split(std::string_view operation) {
  const auto reduce = [this] {
    return F::batch_norm_backward_reduce(dy_, x_, forward_.mean, forward_.invstd, p_.weight);
  };
  if (operation == "moments") {
    return keeping([this] { return F::batch_norm_moments(x_); },
                   [this](const auto& got) { verify_moments(got); });
  }
  if (operation == "backward_reduce") {
    return keeping(
        reduce, [this](const auto& got) { p_.verify_gradients(check_, got.dweight, got.dbias); });
  }
  if (operation == "elemt") {
    return {[this] {
              F::batch_norm_elemt(x_, p_.weight, p_.bias, forward_.mean, forward_.invstd, out_);
            },
            [this] { p_.verify_train(check_); }};
  }
  return {[this, sums = reduce(), count = F::batch_norm_moments(x_).count] {
            F::batch_norm_backward_elemt(dy_, x_, forward_.mean, forward_.invstd, p_.weight,
                                         sums.sum_dy, sums.sum_dy_xmu, count, out_);
          },
          [this] { p_.verify_dx(check_); }};
}

Call Calls::fused(std::string_view operation) {
  addend_ = p_.view(p_.addend(), check_.layout);
  if (operation == "fused_train") {
    return {[this] { F::batch_norm_fused_train(x_, addend_, p_.weight, p_.bias, eps, out_); },
            [this] { p_.verify_train(fused_); }};
  }
  if (operation == "fused_infer") {
    return {[this] {
              F::batch_norm_fused_infer(x_, addend_, p_.running_mean, p_.running_var, p_.weight,
                                        p_.bias, eps, out_);
            },
            [this] { p_.verify_infer(fused_); }};
  }
  // The addend stands for y: its sign is the mask.
  return keeping(
      [this] {
        return F::batch_norm_fused_backward(dy_, x_, addend_, p_.weight, forward_.mean,
                                            forward_.invstd, out_);
      },
      [this](const auto& got) { verify_gradients(fused_, got); });
}

/// A loop over float32 elements on OpenMP's threads.
template <class Loop>
std::function<void()> in_parallel(std::int64_t total, Loop loop) {
  return [total, loop] {
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < total; ++i) loop(i);
  };
}

Call Calls::replaced(std::string_view operation) {
  const auto* addend = p_.addend().data<float>();
  if (operation == "fused_backward") {
    const auto* dy = p_.dy.data<float>();
    auto* dz = p_.second_out().data<float>();
    const auto mask = in_parallel(p_.x.numel(), [=](std::int64_t i) {
      const float gradient = dy[i];  // read in any case: without a branch
      dz[i] = addend[i] > 0 ? gradient : 0;
    });
    const Tensor masked = p_.view(p_.second_out(), check_.layout);
    return {[this, mask, masked] {
              mask();
              F::batch_norm_backward(masked, x_, p_.weight, forward_.mean, forward_.invstd, out_);
            },
            [this] { p_.verify_dx(fused_); }};
  }
  auto* y = p_.out.data<float>();
  const auto add_and_relu = in_parallel(p_.x.numel(), [=](std::int64_t i) {
    const float sum = y[i] + addend[i];
    y[i] = sum > 0 ? sum : 0;
  });
  const bool train = operation == "fused_train";
  return {[first = plain(train ? "train" : "infer"), add_and_relu] {
            first.run();
            add_and_relu();
          },
          [this, train] { train ? p_.verify_train(fused_) : p_.verify_infer(fused_); }};
}

void time(benchmark::State& state, const Case& item, Problem& problem, const Call& call) {
  // Google Benchmark asks for one iteration first, and then again for more.
  if (state.max_iterations == 1) {
    problem.spoil();
    call.run();
    call.verify();
  }
  if (item.device == Device::cpu()) {
    measure(state, call.run);
  } else {
    measure_queued(state, call.run, [&] { synchronize(item.device); });
  }
  state.SetLabel(last_kernel());
}

/// Times all of the floor's loops, a sample of each in turn; the fastest is the floor.
void run_floors(benchmark::State& state, const Case& item, Problem& problem) {
  const FloorTensors tensors(item.info, problem);
  std::vector<std::string> names;
  std::vector<std::function<void()>> runs;
  // One thread is best for small tensors.
  for (const int threads : std::set{1, item.threads}) {
    for (const auto& [name, store] : {std::pair{"memcpy", Store::Library},
                                      {"plain", Store::Plain},
                                      {"non-temporal", Store::Nontemporal}}) {
      names.push_back(std::string(name) + (threads == 1 ? ", 1 thread" : ", all threads"));
      runs.emplace_back([=, &item, &tensors] {
        benchmark::DoNotOptimize(run_floor(store, threads, item.info, tensors));
      });
      problem.spoil();
      runs.back()();
      verify_floor(item.info, tensors);
    }
  }
  const std::vector<double> all = best_in_turn(state, runs);
  const auto best = std::ranges::min_element(all);
  state.counters.insert_or_assign("best_ns", *best);
  state.SetLabel(names[static_cast<std::size_t>(best - all.begin())]);
}

void run_ours(benchmark::State& state, const Case& item, Problem& problem) {
  set_num_threads(item.threads);
  time(state, item, problem, Calls(item, problem).of(item.info));
}

/// OpenMP's threads for both calls: two pools that spin would wait for each other's cores.
void run_replaced(benchmark::State& state, const Case& item, Problem& problem) {
  omp_set_num_threads(item.threads);
  use_openmp();
  time(state, item, problem, Calls(item, problem).replaced(item.info.name));
  set_parallel_for({});
}

/// On a device, a copy of x on it.
void run_copy(benchmark::State& state, const Case& item, Problem& problem) {
  time(state, item, problem, {[&] { problem.out.copy_(problem.x); }, [] {}});
}

}  // namespace
}  // namespace halnorm::bench

int main(int argc, char** argv) {
  using namespace halnorm::bench;
  benchmark::AddCustomContext("halnorm_version", HALNORM_VERSION);
  benchmark::AddCustomContext("compiler", HALNORM_COMPILER);
  const auto on_cpu = [](const Case& item) { return item.device == halnorm::Device::cpu(); };
  const auto has_floor = [=](const Case& item) { return on_cpu(item) && is_linked(item); };
  const auto is_fused = [=](const Case& item) {
    return on_cpu(item) && item.info.group == "fused" && item.dtype == halnorm::DType::Float32;
  };
  const auto has_copy = [=](const Case& item) {
    return !on_cpu(item) && item.info.name == "infer";
  };
  return run_program(argc, argv,
                     {{"halnorm", run_ours, is_linked},
                      {"floor", run_floors, has_floor, true},
                      {"two_calls", run_replaced, is_fused},
                      {"copy", run_copy, has_copy, true}});
}
