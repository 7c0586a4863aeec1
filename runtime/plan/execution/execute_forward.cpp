#include <algorithm>
#include <span>

#include "plan/execution/invstd.h"
#include "plan/execution/merge_moments.h"
#include "plan/execution/run.h"
#include "plan/execution/scratch.h"
#include "plan/execution/steps.h"
#include "plan/fold.h"
#include "plan/nontemporal.h"
#include "plan/partition.h"

namespace halnorm::HALNORM_ABI::detail {

using Way = Step::Way;

namespace {

std::optional<View> addend_of(const std::optional<Epilogue>& relu) noexcept {
  return relu ? std::optional(relu->addend) : std::nullopt;
}

std::optional<double> slope_of(const std::optional<Epilogue>& relu) noexcept {
  return relu ? std::optional(relu->slope) : std::nullopt;
}

/// The moments of the parts, merged in their order.
void merge_parts(const char* function, const Step& step, const MomentsOperands& o) {
  const std::int64_t channels = o.x.C;
  const Scratch means(step.parts.size() * channels);
  const Scratch squares(step.parts.size() * channels);
  for_each_part(step, [&](std::int64_t i) {
    const Box b = step.parts[i];
    run(function, *step.kernel, o.x.part(b), means.channels().part(i * channels, b.c),
        squares.channels().part(i * channels, b.c));
  });
  for (std::int64_t i = 0; i < step.parts.size(); ++i) {
    const Box b = step.parts[i];
    HostMoments whole{count_before(o.x, b), o.mean.part(b.first_c, b.c).doubles(),
                      o.m2.part(b.first_c, b.c).doubles()};
    merge_into(whole,
               {static_cast<double>(b.n) * static_cast<double>(b.l), means.get() + i * channels,
                squares.get() + i * channels},
               b.c);
  }
}

void moments_of_columns(const char* function, const Step& step, const MomentsOperands& o) {
  const Fold& fold = step.fold;
  const View folded = fold.folded(o.x);
  const Scratch means(fold.columns());
  const Scratch squares(fold.columns());
  carry_out(function, step.first(), MomentsOperands{folded, means.channels(), squares.channels()});
  merge_columns(fold, folded.count(), means.get(), squares.get(), o.mean.doubles(), o.m2.doubles());
  if (step.has_second()) {
    const View rest = fold.left_over(o.x);
    carry_out(function, step.second(),
              MomentsOperands{rest, means.channels().part(0, rest.C),
                              squares.channels().part(0, rest.C)});
    HostMoments whole{o.x.count() - rest.count(), o.mean.doubles(), o.m2.doubles()};
    merge_into(whole, {rest.count(), means.get(), squares.get()}, o.x.C);
  }
}

void elemt_of_columns(const char* function, const Step& step, const ElemtOperands& o) {
  const Fold& fold = step.fold;
  const auto with = [&](View (Fold::*of)(const View&) const noexcept) {
    return o.relu ? std::optional(Epilogue{(fold.*of)(o.relu->addend), o.relu->slope})
                  : std::nullopt;
  };
  const Columns weight(fold, o.weight);
  const Columns bias(fold, o.bias);
  const Columns mean(fold, o.mean);
  const Columns invstd(fold, o.invstd);
  carry_out(function, step.first(),
            ElemtOperands{fold.folded(o.x), weight.get(), bias.get(), mean.get(), invstd.get(),
                          fold.folded(o.y), with(&Fold::folded)});
  if (step.has_second()) {
    carry_out(function, step.second(),
              ElemtOperands{fold.left_over(o.x), o.weight, o.bias, o.mean, o.invstd,
                            fold.left_over(o.y), with(&Fold::left_over)});
  }
}

void run_elemt(const char* function, const Step& step, const ElemtOperands& o) {
  run(function, kernel_for_part(step, o.y), o.x, addend_of(o.relu), o.weight, o.bias, o.mean,
      o.invstd, slope_of(o.relu), o.y);
}

void train_in_passes(const char* function, const Step& step, const TrainOperands& o) {
  carry_out(function, step.first(), MomentsOperands{o.x, o.mean, o.m2});
  const std::span<double> invstd(o.invstd.doubles(), static_cast<std::size_t>(o.x.C));
  std::copy_n(o.m2.doubles(), o.x.C, invstd.begin());
  to_invstd(invstd, o.x.count(), o.eps);
  carry_out(function, step.second(),
            ElemtOperands{o.x, o.weight, o.bias, o.mean, o.invstd, o.y, o.relu});
}

void infer_by_elemt(const char* function, const Step& step, const InferOperands& o) {
  const Scratch mean(o.x.C);
  const Scratch invstd(o.x.C);
  for (std::int64_t c = 0; c < o.x.C; ++c) {
    mean.get()[c] = o.running_mean.at(c);
    invstd.get()[c] = o.running_var.at(c);
  }
  to_invstd({invstd.get(), static_cast<std::size_t>(o.x.C)}, 1, o.eps);
  carry_out(function, step.second(),
            ElemtOperands{o.x, o.weight, o.bias, mean.channels(), invstd.channels(), o.y, o.relu});
}

/// Training in one kernel.
void run_train(const char* function, const Kernel& kernel, const TrainOperands& o) {
  std::optional<Channels> running_mean;
  std::optional<Channels> running_var;
  std::optional<double> factor;
  if (o.running != nullptr) {
    running_mean = o.running->mean;
    running_var = o.running->var;
    factor = o.running->factor;
  }
  run(function, kernel, o.x, addend_of(o.relu), o.weight, o.bias, o.eps, slope_of(o.relu),
      running_mean, running_var, factor, o.y, o.mean, o.invstd, o.m2, running_mean, running_var);
}

}  // namespace

void carry_out(const char* function, const Step& step, const MomentsOperands& o) {
  if (step.way == Way::columns) {
    moments_of_columns(function, step, o);
  } else if (step.way == Way::kernel) {
    run(function, *step.kernel, o.x, o.mean, o.m2);
  } else {
    merge_parts(function, step, o);
  }
}

void carry_out(const char* function, const Step& step, const ElemtOperands& o) {
  if (step.way == Way::columns) {
    elemt_of_columns(function, step, o);
  } else {
    run_elements(step, o, [&](const ElemtOperands& part) { run_elemt(function, step, part); });
  }
}

void carry_out(const char* function, const Step& step, const InferOperands& o) {
  if (step.way == Way::passes) {
    infer_by_elemt(function, step, o);
  } else {
    run(function, *step.kernel, o.x, addend_of(o.relu), o.running_mean, o.running_var, o.weight,
        o.bias, o.eps, slope_of(o.relu), o.y);
  }
}

void carry_out(const char* function, const Step& step, const TrainOperands& o) {
  if (step.way == Way::passes) {
    train_in_passes(function, step, o);
  } else {
    run_train(function, *step.kernel, o);
    finish(step);
  }
}

void execute(const char* function, const MomentsOperands& o) { execute_plan(function, o); }

void execute(const char* function, const ElemtOperands& o) { execute_plan(function, o); }

void execute(const char* function, const InferOperands& o) { execute_plan(function, o); }

void execute(const char* function, const TrainOperands& o) { execute_plan(function, o); }

}  // namespace halnorm::HALNORM_ABI::detail
