// Our kernels through halnorm::functional, beside the floor on the same buffers and threads, and
// fused operations beside the calls that they replace.

#include <halnorm/openmp.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "measure.h"
#include "suite.h"
#include "thresholds.h"

/// This is the declaration of <omp.h>, a header that belongs to one compiler.
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
  return std::ranges::count(kernels(), item.dtype_name, &KernelInfo::dtype) > 0;
}

using Call = std::function<void()>;

/// A call on the tensors of a case, and the check of its last results.
class Calls {
 public:
  Calls(const Case& item, Problem& problem)
      : p_(problem),
        name_(item.info.name),
        group_(item.info.group),
        check_{item.layout, tolerance_of(item.dtype), group_ == "fused"},
        x_(problem.view(problem.x, item.layout)),
        dy_(problem.view(problem.dy, item.layout)),
        out_(problem.view(problem.out, item.layout)),
        forward_(F::batch_norm_train(x_, p_.weight, p_.bias, eps, out_)) {}

  Call of_case() {
    if (group_ == "fused") return fused();
    return group_ == "split" ? split() : plain(name_);
  }

  /// The calls that a fused operation replaces.
  Call replaced();

  void verify();

 private:
  Call plain(std::string_view name);
  Call split();
  Call fused();
  void verify_moments();
  [[nodiscard]] bool is_backward() const {
    return name_.find("backward") != std::string_view::npos;
  }

  /// A call whose results are kept for the check. New ones take the memory of the old ones.
  template <class Results, class Function>
  static Call keeping(Results& last, const Function& call) {
    return [&last, call] {
      last = {};
      last = call();
    };
  }

  Problem& p_;
  std::string_view name_, group_;
  Check check_;
  Tensor x_, dy_, out_, addend_;
  F::BatchNormForward forward_;
  F::Moments moments_;
  F::BackwardReduce reduced_;
  F::BatchNormBackward backward_;
  F::BatchNormFusedBackward fused_backward_;
};

Call Calls::plain(std::string_view name) {
  if (name == "train") {
    return [this] { F::batch_norm_train(x_, p_.weight, p_.bias, eps, out_); };
  }
  if (name == "infer") {
    return [this] {
      F::batch_norm_infer(x_, p_.running_mean, p_.running_var, p_.weight, p_.bias, eps, out_);
    };
  }
  return keeping(backward_, [this] {
    return F::batch_norm_backward(dy_, x_, p_.weight, forward_.mean, forward_.invstd, out_);
  });
}

Call Calls::split() {
  const auto reduce = [this] {
    return F::batch_norm_backward_reduce(dy_, x_, forward_.mean, forward_.invstd, p_.weight);
  };
  if (name_ == "moments") {
    return keeping(moments_, [this] { return F::batch_norm_moments(x_); });
  }
  if (name_ == "backward_reduce") return keeping(reduced_, reduce);
  if (name_ == "elemt") {
    return [this] {
      F::batch_norm_elemt(x_, p_.weight, p_.bias, forward_.mean, forward_.invstd, out_);
    };
  }
  return [this, sums = reduce(), count = F::batch_norm_moments(x_).count] {
    F::batch_norm_backward_elemt(dy_, x_, forward_.mean, forward_.invstd, p_.weight, sums.sum_dy,
                                 sums.sum_dy_xmu, count, out_);
  };
}

Call Calls::fused() {
  addend_ = p_.view(p_.addend(), check_.layout);
  if (name_ == "fused_train") {
    return [this] { F::batch_norm_fused_train(x_, addend_, p_.weight, p_.bias, eps, out_); };
  }
  if (name_ == "fused_infer") {
    return [this] {
      F::batch_norm_fused_infer(x_, addend_, p_.running_mean, p_.running_var, p_.weight, p_.bias,
                                eps, out_);
    };
  }
  // The addend stands for y: its sign is the mask.
  return keeping(fused_backward_, [this] {
    return F::batch_norm_fused_backward(dy_, x_, addend_, p_.weight, forward_.mean, forward_.invstd,
                                        out_);
  });
}

Call Calls::replaced() {
  const std::int64_t total = p_.x.numel();
  const auto* addend = p_.addend().data<float>();
  if (is_backward()) {
    const auto* dy = p_.dy.data<float>();
    auto* dz = p_.second_out().data<float>();
    return [=, this, masked = p_.view(p_.second_out(), check_.layout)] {
#pragma omp parallel for schedule(static)
      for (std::int64_t i = 0; i < total; ++i) {
        const float gradient = dy[i];  // read in any case: without a branch
        dz[i] = addend[i] > 0 ? gradient : 0;
      }
      F::batch_norm_backward(masked, x_, p_.weight, forward_.mean, forward_.invstd, out_);
    };
  }
  auto* y = p_.out.data<float>();
  return [=, first = plain(name_ == "fused_train" ? "train" : "infer")] {
    first();
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < total; ++i) {
      const float sum = y[i] + addend[i];
      y[i] = sum > 0 ? sum : 0;
    }
  };
}

void Calls::verify_moments() {
  const ChannelSums& wanted = p_.sums(check_.layout);
  const auto count = static_cast<double>(p_.shape().per_channel());
  auto m2 = wanted.invstd;
  for (double& v : m2) v = (1 / (v * v) - eps) * count;
  p_.verify_channels("mean", moments_.mean, wanted.mean, wanted.mean, check_.tolerance);
  p_.verify_channels("m2", moments_.m2, m2, m2, check_.tolerance);
}

void Calls::verify() {
  if (name_ == "moments") verify_moments();
  for (const auto& [dweight, dbias] : {std::pair(reduced_.dweight, reduced_.dbias),
                                       {backward_.dweight, backward_.dbias},
                                       {fused_backward_.dweight, fused_backward_.dbias}}) {
    if (dweight.defined()) p_.verify_gradients(check_, dweight, dbias);
  }
  const bool has_out = name_ != "moments" && name_ != "backward_reduce";
  if (has_out && is_backward()) p_.verify_dx(check_);
  if (has_out && !is_backward()) p_.verify_y(check_, name_.ends_with("infer"));
}

void time(benchmark::State& state, const Case& item, Problem& problem, Calls& calls,
          const Call& call) {
  // Google Benchmark asks for one iteration first, and then again for more.
  if (state.max_iterations == 1) {
    problem.spoil();
    call();
    calls.verify();
  }
  if (item.device == Device::cpu()) {
    measure(state, call);
  } else {
    measure_queued(state, call, [&] { synchronize(item.device); });
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
  Calls calls(item, problem);
  time(state, item, problem, calls, calls.of_case());
}

/// Both calls use OpenMP's threads, because two pools that spin would wait for each other's cores.
void run_replaced(benchmark::State& state, const Case& item, Problem& problem) {
  omp_set_num_threads(item.threads);
  use_openmp();
  Calls calls(item, problem);
  time(state, item, problem, calls, calls.replaced());
  set_parallel_for({});
}

/// Times a copy of x on its device.
void run_copy(benchmark::State& state, const Case& item, Problem& problem) {
  measure_queued(
      state, [&] { problem.out.copy_(problem.x); }, [&] { synchronize(item.device); });
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
  if (!take_thresholds()) return 1;
  return run_program(argc, argv,
                     {{"halnorm", run_ours, is_linked},
                      {"floor", run_floors, has_floor, true},
                      {"two_calls", run_replaced, is_fused},
                      {"copy", run_copy, has_copy, true}});
}
