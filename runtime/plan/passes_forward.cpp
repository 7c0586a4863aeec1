#include <algorithm>
#include <cmath>
#include <functional>

#include "kernels/parallel.h"
#include "plan/fold.h"
#include "plan/nontemporal.h"
#include "plan/partition.h"
#include "plan/passes.h"
#include "plan/scratch.h"

namespace halnorm::detail {

namespace {

void run_moments(const char* function, const Kernel& kernel, const View& x, const Channels& mean,
                 const Channels& m2) {
  KernelBuffer x_buffer = x.buffer();
  KernelBuffer mean_buffer = mean.buffer();
  KernelBuffer m2_buffer = m2.buffer();
  run_kernel(function, kernel, {x_buffer.get(), mean_buffer.get(), m2_buffer.get()});
}

const Kernel& moments_kernel(const View& x) {
  return kernel_for(form_of(rows::batch_norm_moments, should_fetch({&x})), x);
}

void run_normalize(const char* function, const View& x, const Channels& weight,
                   const Channels& bias, const Channels& mean, const Channels& invstd,
                   const View& y, bool streams) {
  KernelBuffer x_buffer = x.buffer();
  KernelBuffer weight_buffer = weight.buffer();
  KernelBuffer bias_buffer = bias.buffer();
  KernelBuffer mean_buffer = mean.buffer();
  KernelBuffer invstd_buffer = invstd.buffer();
  KernelBuffer y_buffer = y.buffer();
  const Rows& form = form_of(rows::batch_norm_elemt, streams && starts_at_line(y));
  run_kernel(function, kernel_for(form, x),
             {x_buffer.get(), weight_buffer.get(), bias_buffer.get(), mean_buffer.get(),
              invstd_buffer.get(), y_buffer.get()});
}

/// Adds a part's moments. Chan, Golub and LeVeque 1979, equation 2.1.
void merge_part(double count, const Channels& mean, const Channels& m2, double part_count,
                const double* part_mean, const double* part_m2) {
  const double share = part_count / (count + part_count);
  for (std::int64_t c = 0; c < mean.count; ++c) {
    const double apart = part_mean[c] - mean.doubles()[c];
    mean.doubles()[c] += apart * share;
    m2.doubles()[c] += part_m2[c] + apart * apart * count * share;
  }
}

/// The moments of boxes, merged in their order. `run(count, task)` runs the tasks.
template <class Run>
void moments_of_boxes(const char* function, const View& x, const Boxes& boxes, const Channels& mean,
                      const Channels& m2, Run run) {
  const Kernel& kernel = moments_kernel(x);
  const Scratch means(boxes.size() * x.C);
  const Scratch squares(boxes.size() * x.C);
  run(boxes.size(), [&](std::int64_t i) {
    const Box b = boxes[i];
    run_moments(function, kernel, x.part(b), means.channels().part(i * x.C, b.c),
                squares.channels().part(i * x.C, b.c));
  });
  for (std::int64_t i = 0; i < boxes.size(); ++i) {
    const Box b = boxes[i];
    const double before = count_before(x, b);
    const Channels box_mean = mean.part(b.first_c, b.c);
    const Channels box_m2 = m2.part(b.first_c, b.c);
    if (before == 0) {
      std::copy_n(means.get() + i * x.C, b.c, box_mean.doubles());
      std::copy_n(squares.get() + i * x.C, b.c, box_m2.doubles());
    } else {
      merge_part(before, box_mean, box_m2, static_cast<double>(b.n) * static_cast<double>(b.l),
                 means.get() + i * x.C, squares.get() + i * x.C);
    }
  }
}

void moments_of_columns(const char* function, const Fold& fold, const View& x, const Channels& mean,
                        const Channels& m2) {
  const View folded = fold.folded(x);
  const View rest = fold.left_over(x);
  const Scratch means(fold.columns());
  const Scratch squares(fold.columns());
  moments_pass(function, folded, means.channels(), squares.channels());
  merge_columns(fold, folded.count(), means.get(), squares.get(), mean.doubles(), m2.doubles());
  if (rest.N > 0) {
    run_moments(function, moments_kernel(rest), rest, means.channels().part(0, x.C),
                squares.channels().part(0, x.C));
    merge_part(x.count() - rest.count(), mean, m2, rest.count(), means.get(), squares.get());
  }
}

void normalize_columns(const char* function, const Fold& fold, const View& x,
                       const Channels& weight, const Channels& bias, const Channels& mean,
                       const Channels& invstd, const View& y) {
  normalize_pass(function, fold.folded(x), Columns(fold, weight).get(), Columns(fold, bias).get(),
                 Columns(fold, mean).get(), Columns(fold, invstd).get(), fold.folded(y));
  const View rest = fold.left_over(x);
  if (rest.N > 0) {
    run_normalize(function, rest, weight, bias, mean, invstd, fold.left_over(y), false);
  }
}

/// Whether the statistics and y are made one after the other, rather than in one kernel.
bool in_two_passes(const View& x, const View& y, bool streams) {
  return !x.fits_kernel() || !y.fits_kernel() || should_split(x) || find_fold_for_sums({&x, &y}) ||
         (streams && (x.layout == Layout::nlc || sums_in_double(x)));
}

}  // namespace

void moments_pass(const char* function, const View& x, const Channels& mean, const Channels& m2) {
  if (const auto fold = find_fold_for_sums({&x})) {
    moments_of_columns(function, *fold, x, mean, m2);
  } else if (!x.fits_kernel()) {
    moments_of_boxes(function, x, kernel_boxes(x, x), mean, m2, [](std::int64_t count, auto task) {
      for (std::int64_t i = 0; i < count; ++i) {
        task(i);
      }
    });
  } else if (should_split(x)) {
    moments_of_boxes(function, x, split_boxes(x), mean, m2,
                     [](std::int64_t count, auto task) { parallel_for(count, std::ref(task)); });
  } else {
    run_moments(function, moments_kernel(x), x, mean, m2);
  }
}

void normalize_pass(const char* function, const View& x, const Channels& weight,
                    const Channels& bias, const Channels& mean, const Channels& invstd,
                    const View& y) {
  const bool streams = should_stream(y, {&x, &y});
  if (const auto fold = streams ? find_streaming_fold({&x, &y}) : find_fold({&x, &y})) {
    normalize_columns(function, *fold, x, weight, bias, mean, invstd, y);
    return;
  }
  if (!x.fits_kernel() || !y.fits_kernel()) {
    const Boxes boxes = kernel_boxes(x, y);
    for (std::int64_t i = 0; i < boxes.size(); ++i) {
      const Box b = boxes[i];
      run_normalize(function, x.part(b), weight.part(b.first_c, b.c), bias.part(b.first_c, b.c),
                    mean.part(b.first_c, b.c), invstd.part(b.first_c, b.c), y.part(b), streams);
    }
  } else {
    run_normalize(function, x, weight, bias, mean, invstd, y, streams);
  }
  if (streams) {
    finish_streaming();
  }
}

void train_pass(const char* function, const View& x, const Channels& weight, const Channels& bias,
                double eps, const View& y, const Channels& mean, const Channels& invstd,
                const Channels& m2, const RunningStatistics* running) {
  const bool streams = should_stream(y, {&x, &y});
  if (!streams && in_groups({&x, &y}, [&](const Box& b) {
        train_pass(function, x.part(b), weight.part(b.first_c, b.c), bias.part(b.first_c, b.c), eps,
                   y.part(b), mean.part(b.first_c, b.c), invstd.part(b.first_c, b.c),
                   m2.part(b.first_c, b.c));
      })) {
    return;
  }
  if (in_two_passes(x, y, streams)) {
    moments_pass(function, x, mean, m2);
    for (std::int64_t c = 0; c < x.C; ++c) {
      invstd.doubles()[c] = 1 / std::sqrt(m2.doubles()[c] / x.count() + eps);
    }
    normalize_pass(function, x, weight, bias, mean, invstd, y);
    return;
  }
  KernelBuffer x_buffer = x.buffer();
  KernelBuffer weight_buffer = weight.buffer();
  KernelBuffer bias_buffer = bias.buffer();
  KernelBuffer y_buffer = y.buffer();
  KernelBuffer mean_buffer = mean.buffer();
  KernelBuffer invstd_buffer = invstd.buffer();
  KernelBuffer m2_buffer = m2.buffer();
  if (running != nullptr) {
    KernelBuffer running_mean = running->mean.buffer();
    KernelBuffer running_var = running->var.buffer();
    run_kernel(function, kernel_for(rows::batch_norm_train_update, x),
               {x_buffer.get(), weight_buffer.get(), bias_buffer.get(), &eps, running_mean.get(),
                running_var.get(), &running->factor, y_buffer.get(), mean_buffer.get(),
                invstd_buffer.get(), m2_buffer.get(), running_mean.get(), running_var.get()});
    return;
  }
  run_kernel(function, kernel_for(form_of(rows::batch_norm_train, streams), x),
             {x_buffer.get(), weight_buffer.get(), bias_buffer.get(), &eps, y_buffer.get(),
              mean_buffer.get(), invstd_buffer.get(), m2_buffer.get()});
  if (streams) {
    finish_streaming();
  }
}

void infer_pass(const char* function, const View& x, const Channels& running_mean,
                const Channels& running_var, const Channels& weight, const Channels& bias,
                double eps, const View& y) {
  const bool streams = should_stream(y, {&x, &y});
  if (!streams && in_groups({&x, &y}, [&](const Box& b) {
        infer_pass(function, x.part(b), running_mean.part(b.first_c, b.c),
                   running_var.part(b.first_c, b.c), weight.part(b.first_c, b.c),
                   bias.part(b.first_c, b.c), eps, y.part(b));
      })) {
    return;
  }
  if (!x.fits_kernel() || !y.fits_kernel() || find_fold({&x, &y}) || streams) {
    const Scratch mean(x.C);
    const Scratch invstd(x.C);
    for (std::int64_t c = 0; c < x.C; ++c) {
      mean.get()[c] = running_mean.at(c);
      invstd.get()[c] = 1 / std::sqrt(running_var.at(c) + eps);
    }
    normalize_pass(function, x, weight, bias, mean.channels(), invstd.channels(), y);
    return;
  }
  KernelBuffer x_buffer = x.buffer();
  KernelBuffer mean_buffer = running_mean.buffer();
  KernelBuffer var_buffer = running_var.buffer();
  KernelBuffer weight_buffer = weight.buffer();
  KernelBuffer bias_buffer = bias.buffer();
  KernelBuffer y_buffer = y.buffer();
  run_kernel(function, kernel_for(rows::batch_norm_infer, x),
             {x_buffer.get(), mean_buffer.get(), var_buffer.get(), weight_buffer.get(),
              bias_buffer.get(), &eps, y_buffer.get()});
}

}  // namespace halnorm::detail
