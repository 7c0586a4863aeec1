// Our kernels through halnorm::functional, beside the floor on the same buffers and threads, and
// fused operations beside the calls that they replace.

#include <halnorm/openmp.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
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

#if defined(__clang__)
constexpr const char* compiler = __VERSION__;
#else
constexpr const char* compiler = "GCC " __VERSION__;
#endif

/// Whether this library has kernels of the dtype.
bool is_linked(const OperationInfo& /*info*/, DType dtype) {
  return std::ranges::any_of(kernels(), [&](const KernelInfo& kernel) {
    return std::ranges::any_of(dtypes, [&](const auto& known) {
      return known.first == kernel.dtype && known.second == dtype;
    });
  });
}

/// A call, and the check of its last results.
struct Call {
  std::function<void()> run;
  std::function<void()> verify;
};

/// The tensors of a case, and the calls on them.
class Calls {
 public:
  Calls(const Case& item, Problem& problem)
      : p_(problem),
        layout_(item.layout),
        tolerance_(tolerance_of(item.dtype)),
        x_(problem.view(problem.x, layout_)),
        dy_(problem.view(problem.dy, layout_)),
        out_(problem.view(problem.out, layout_)),
        forward_(F::batch_norm_train(x_, p_.weight, p_.bias, eps, out_)) {}

  Call of(Operation operation) {
    if (operation >= Operation::FusedTrain) return fused(operation);
    return operation >= Operation::Moments ? split(operation) : plain(operation);
  }

  /// The calls that a fused operation replaces.
  Call replaced(Operation operation);

 private:
  Call plain(Operation operation);
  Call split(Operation operation);
  Call fused(Operation operation);
  Call moments();
  Call reduce();
  template <class Gradients>
  void verify_gradients(const Gradients& g, bool fused) const {
    p_.verify_gradients(layout_, g->dweight.template to_vector<double>(),
                        g->dbias.template to_vector<double>(), tolerance_, fused);
    p_.verify_dx(layout_, tolerance_, fused);
  }

  Problem& p_;
  Layout layout_;
  double tolerance_;
  Tensor x_, dy_, out_, addend_;
  F::BatchNormForward forward_;
};

Call Calls::plain(Operation operation) {
  if (operation == Operation::Train) {
    return {[this] { F::batch_norm_train(x_, p_.weight, p_.bias, eps, out_); },
            [this] { p_.verify_train(layout_, tolerance_); }};
  }
  if (operation == Operation::Infer) {
    return {[this] {
              F::batch_norm_infer(x_, p_.running_mean, p_.running_var, p_.weight, p_.bias, eps,
                                  out_);
            },
            [this] { p_.verify_infer(layout_, tolerance_); }};
  }
  const auto last = std::make_shared<F::BatchNormBackward>();
  return {[this, last] {
            *last = {};  // the new results take the memory of the old ones
            *last =
                F::batch_norm_backward(dy_, x_, p_.weight, forward_.mean, forward_.invstd, out_);
          },
          [this, last] { verify_gradients(last, false); }};
}

Call Calls::moments() {
  const auto last = std::make_shared<F::Moments>();
  return {[this, last] {
            *last = {};
            *last = F::batch_norm_moments(x_);
          },
          [this, last] {
            const ChannelSums& wanted = p_.sums(layout_);
            auto m2 = wanted.invstd;
            const auto count = static_cast<double>(p_.shape().per_channel());
            for (double& v : m2) v = (1 / (v * v) - eps) * count;
            p_.verify_channels("mean", last->mean.to_vector<double>(), wanted.mean, tolerance_);
            p_.verify_channels("m2", last->m2.to_vector<double>(), m2, tolerance_);
          }};
}

Call Calls::reduce() {
  const auto last = std::make_shared<F::BackwardReduce>();
  return {[this, last] {
            *last = {};
            *last =
                F::batch_norm_backward_reduce(dy_, x_, forward_.mean, forward_.invstd, p_.weight);
          },
          [this, last] {
            p_.verify_gradients(layout_, last->dweight.to_vector<double>(),
                                last->dbias.to_vector<double>(), tolerance_);
          }};
}

Call Calls::split(Operation operation) {
  if (operation == Operation::Moments) return moments();
  if (operation == Operation::BackwardReduce) return reduce();
  if (operation == Operation::Elemt) {
    return {[this] {
              F::batch_norm_elemt(x_, p_.weight, p_.bias, forward_.mean, forward_.invstd, out_);
            },
            [this] { p_.verify_train(layout_, tolerance_); }};
  }
  const auto sums =
      F::batch_norm_backward_reduce(dy_, x_, forward_.mean, forward_.invstd, p_.weight);
  const Tensor count = F::batch_norm_moments(x_).count;
  return {[this, sums, count] {
            F::batch_norm_backward_elemt(dy_, x_, forward_.mean, forward_.invstd, p_.weight,
                                         sums.sum_dy, sums.sum_dy_xmu, count, out_);
          },
          [this] { p_.verify_dx(layout_, tolerance_); }};
}

Call Calls::fused(Operation operation) {
  addend_ = p_.view(p_.addend(), layout_);
  if (operation == Operation::FusedTrain) {
    return {[this] { F::batch_norm_fused_train(x_, addend_, p_.weight, p_.bias, eps, out_); },
            [this] { p_.verify_train(layout_, tolerance_, true); }};
  }
  if (operation == Operation::FusedInfer) {
    return {[this] {
              F::batch_norm_fused_infer(x_, addend_, p_.running_mean, p_.running_var, p_.weight,
                                        p_.bias, eps, out_);
            },
            [this] { p_.verify_infer(layout_, tolerance_, true); }};
  }
  // The addend stands for y: its sign is the mask.
  const auto last = std::make_shared<F::BatchNormFusedBackward>();
  return {[this, last] {
            *last = {};
            *last = F::batch_norm_fused_backward(dy_, x_, addend_, p_.weight, forward_.mean,
                                                 forward_.invstd, out_);
          },
          [this, last] { verify_gradients(last, true); }};
}

/// A loop over float32 elements on OpenMP's threads.
template <class Loop>
std::function<void()> in_parallel(std::int64_t total, Loop loop) {
  return [total, loop] {
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < total; ++i) loop(i);
  };
}

Call Calls::replaced(Operation operation) {
  const auto* addend = p_.addend().data<float>();
  if (operation == Operation::FusedBackward) {
    const auto* dy = p_.dy.data<float>();
    auto* dz = p_.second_out().data<float>();
    const auto mask = in_parallel(p_.x.numel(), [=](std::int64_t i) {
      const float gradient = dy[i];  // read in any case: without a branch
      dz[i] = addend[i] > 0 ? gradient : 0;
    });
    const Tensor masked = p_.view(p_.second_out(), layout_);
    return {[this, mask, masked] {
              mask();
              F::batch_norm_backward(masked, x_, p_.weight, forward_.mean, forward_.invstd, out_);
            },
            [this] { p_.verify_dx(layout_, tolerance_, true); }};
  }
  auto* y = p_.out.data<float>();
  const auto add_and_relu = in_parallel(p_.x.numel(), [=](std::int64_t i) {
    const float sum = y[i] + addend[i];
    y[i] = sum > 0 ? sum : 0;
  });
  const bool train = operation == Operation::FusedTrain;
  const Call first = plain(train ? Operation::Train : Operation::Infer);
  return {[first, add_and_relu] {
            first.run();
            add_and_relu();
          },
          [this, train] {
            if (train) p_.verify_train(layout_, tolerance_, true);
            if (!train) p_.verify_infer(layout_, tolerance_, true);
          }};
}

void time(benchmark::State& state, Problem& problem, const Call& call) {
  problem.spoil();
  call.run();
  const std::string kernel = last_kernel();
  call.verify();
  measure(state, call.run);
  state.SetLabel(kernel);
}

/// Times all of the floor's loops, a sample of each in turn; the fastest is the floor.
void run_floors(benchmark::State& state, const Case& item, Problem& problem) {
  const std::vector<FloorLoop> loops = floor_loops(item.threads);
  const FloorTensors tensors(item.info, problem);
  std::vector<std::function<void()>> runs;
  for (const FloorLoop& loop : loops) {
    runs.emplace_back(
        [&] { benchmark::DoNotOptimize(run_floor(loop, item.info, tensors, item.threads)); });
    problem.spoil();
    runs.back()();
    verify_floor(item.info, tensors);
  }
  const std::vector<double> all = best_in_turn(state, runs);
  const auto best = std::ranges::min_element(all);
  state.counters.insert_or_assign("best_ns", *best);
  state.SetLabel(loops[static_cast<std::size_t>(best - all.begin())].name);
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
  const auto ours = [](auto& state, const Case& item, Problem& problem) {
    halnorm::set_num_threads(item.threads);
    Calls calls(item, problem);
    time(state, problem, calls.of(item.info.operation));
  };
  const auto replaced = [](auto& state, const Case& item, Problem& problem) {
    // OpenMP's threads for both calls: two pools that spin would wait for each other's cores.
    omp_set_num_threads(item.threads);
    halnorm::use_openmp();
    Calls calls(item, problem);
    time(state, problem, calls.replaced(item.info.operation));
    halnorm::set_parallel_for({});
  };
  const auto is_fused = [](const OperationInfo& info, halnorm::DType dtype) {
    return info.operation >= Operation::FusedTrain && dtype == halnorm::DType::Float32;
  };
  return run_program(argc, argv,
                     {{"halnorm", ours, is_linked},
                      {"floor", run_floors, is_linked, true},
                      {"two_calls", replaced, is_fused}});
}
