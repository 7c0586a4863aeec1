#include <algorithm>

#include "plan/execution/invstd.h"
#include "plan/execution/run.h"
#include "plan/execution/scratch.h"
#include "plan/execution/steps.h"
#include "plan/fold.h"
#include "plan/nontemporal.h"
#include "plan/partition.h"

namespace halnorm::HALNORM_ABI::detail {

using Way = Step::Way;

namespace {

void add(const double* part, const Channels& sum) {
  for (std::int64_t c = 0; c < sum.count; ++c) {
    sum.doubles()[c] += part[c];
  }
}

/// The sums of the parts, added in their order.
void add_parts(const char* function, const Step& step, const ReduceOperands& o) {
  const std::int64_t channels = o.x.C;
  const Scratch sums(step.parts.size() * channels);
  const Scratch xmu(step.parts.size() * channels);
  for_each_part(step, [&](std::int64_t i) {
    const Box b = step.parts[i];
    run(function, *step.kernel, o.dy.part(b), o.x.part(b), o.mean.part(b.first_c, b.c),
        sums.channels().part(i * channels, b.c), xmu.channels().part(i * channels, b.c));
  });
  std::fill_n(o.sum_dy.doubles(), channels, 0.0);
  std::fill_n(o.sum_dy_xmu.doubles(), channels, 0.0);
  for (std::int64_t i = 0; i < step.parts.size(); ++i) {
    const Box b = step.parts[i];
    add(sums.get() + i * channels, o.sum_dy.part(b.first_c, b.c));
    add(xmu.get() + i * channels, o.sum_dy_xmu.part(b.first_c, b.c));
  }
}

void sums_of_columns(const char* function, const Step& step, const ReduceOperands& o) {
  const Fold& fold = step.fold;
  const Scratch sums(fold.columns());
  const Scratch xmu(fold.columns());
  const Columns mean(fold, o.mean);
  carry_out(function, step.first(),
            ReduceOperands{fold.folded(o.dy), fold.folded(o.x), mean.get(), sums.channels(),
                           xmu.channels()});
  add_columns(fold, sums.get(), o.sum_dy.doubles());
  add_columns(fold, xmu.get(), o.sum_dy_xmu.doubles());
  if (step.has_second()) {
    const View rest = fold.left_over(o.x);
    carry_out(function, step.second(),
              ReduceOperands{fold.left_over(o.dy), rest, o.mean, sums.channels().part(0, rest.C),
                             xmu.channels().part(0, rest.C)});
    add(sums.get(), o.sum_dy);
    add(xmu.get(), o.sum_dy_xmu);
  }
}

void run_elemt(const char* function, const Step& step, const BackwardElemtOperands& o) {
  run(function, kernel_for_part(step, o.dx), o.dy, o.x, o.weight, o.mean, o.invstd, o.sum_dy,
      o.sum_dy_xmu, o.count, o.dx);
}

void elemt_of_columns(const char* function, const Step& step, const BackwardElemtOperands& o) {
  const Fold& fold = step.fold;
  const Columns weight(fold, o.weight);
  const Columns mean(fold, o.mean);
  const Columns invstd(fold, o.invstd);
  const Columns sum_dy(fold, o.sum_dy);
  const Columns sum_dy_xmu(fold, o.sum_dy_xmu);
  carry_out(function, step.first(),
            BackwardElemtOperands{fold.folded(o.dy), fold.folded(o.x), weight.get(), mean.get(),
                                  invstd.get(), sum_dy.get(), sum_dy_xmu.get(), o.count,
                                  fold.folded(o.dx)});
  if (step.has_second()) {
    carry_out(
        function, step.second(),
        BackwardElemtOperands{fold.left_over(o.dy), fold.left_over(o.x), o.weight, o.mean, o.invstd,
                              o.sum_dy, o.sum_dy_xmu, o.count, fold.left_over(o.dx)});
  }
}

/// The sums of dweight times invstd.
void scale_dweight(const Channels& dweight, const double* invstd) {
  for (std::int64_t c = 0; c < dweight.count; ++c) {
    dweight.doubles()[c] *= invstd[c];
  }
}

void backward_in_passes(const char* function, const Step& step, const BackwardOperands& o) {
  carry_out(function, step.first(), ReduceOperands{o.dy, o.x, o.mean, o.dbias, o.dweight});
  carry_out(function, step.second(),
            BackwardElemtOperands{o.dy, o.x, o.weight, o.mean, o.invstd, o.dbias, o.dweight,
                                  o.x.count(), o.dx});
  scale_dweight(o.dweight, o.invstd.doubles());
}

/// The sums, then dx = weight * invstd * dy: dy normalized about 0.
void backward_infer_in_passes(const char* function, const Step& step,
                              const BackwardInferOperands& o) {
  const Scratch mean(o.x.C);
  const Scratch invstd(o.x.C);
  const Scratch zeros(o.x.C);
  for (std::int64_t c = 0; c < o.x.C; ++c) {
    mean.get()[c] = o.running_mean.at(c);
    invstd.get()[c] = o.running_var.at(c);
    zeros.get()[c] = 0;
  }
  to_invstd({invstd.get(), static_cast<std::size_t>(o.x.C)}, 1, o.eps);
  carry_out(function, step.first(), ReduceOperands{o.dy, o.x, mean.channels(), o.dbias, o.dweight});
  float zero32 = 0;
  double zero64 = 0;
  const bool wide = o.weight.dtype == DType::Float64;
  const Channels no_bias{wide ? static_cast<void*>(&zero64) : static_cast<void*>(&zero32),
                         o.weight.dtype, o.x.C, 0};
  carry_out(function, step.second(),
            ElemtOperands{o.dy, o.weight, no_bias, zeros.channels(), invstd.channels(), o.dx});
  scale_dweight(o.dweight, invstd.get());
}

}  // namespace

void carry_out(const char* function, const Step& step, const ReduceOperands& o) {
  if (step.way == Way::columns) {
    sums_of_columns(function, step, o);
  } else if (step.way == Way::kernel) {
    run(function, *step.kernel, o.dy, o.x, o.mean, o.sum_dy, o.sum_dy_xmu);
  } else {
    add_parts(function, step, o);
  }
}

void carry_out(const char* function, const Step& step, const BackwardElemtOperands& o) {
  if (step.way == Way::columns) {
    elemt_of_columns(function, step, o);
  } else {
    run_elements(step, o,
                 [&](const BackwardElemtOperands& part) { run_elemt(function, step, part); });
  }
}

void carry_out(const char* function, const Step& step, const BackwardOperands& o) {
  if (step.way == Way::passes) {
    backward_in_passes(function, step, o);
  } else if (o.adds) {
    run(function, *step.kernel, o.dy, o.x, o.weight, o.mean, o.invstd, o.dweight, o.dbias, o.dx,
        o.dweight, o.dbias);
  } else {
    run(function, *step.kernel, o.dy, o.x, o.weight, o.mean, o.invstd, o.dx, o.dweight, o.dbias);
    finish(step);
  }
}

void carry_out(const char* function, const Step& step, const BackwardInferOperands& o) {
  if (step.way == Way::passes) {
    backward_infer_in_passes(function, step, o);
  } else {
    run(function, *step.kernel, o.dy, o.x, o.weight, o.running_mean, o.running_var, o.eps, o.dx,
        o.dweight, o.dbias);
  }
}

void execute(const char* function, const ReduceOperands& o) { execute_plan(function, o); }

void execute(const char* function, const BackwardElemtOperands& o) { execute_plan(function, o); }

void execute(const char* function, const BackwardOperands& o) { execute_plan(function, o); }

void execute(const char* function, const BackwardInferOperands& o) { execute_plan(function, o); }

}  // namespace halnorm::HALNORM_ABI::detail
