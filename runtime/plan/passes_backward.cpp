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

void run_sums(const char* function, const Kernel& kernel, const View& dy, const View& x,
              const Channels& mean, const Channels& sum_dy, const Channels& sum_dy_xmu) {
  KernelBuffer dy_buffer = dy.buffer();
  KernelBuffer x_buffer = x.buffer();
  KernelBuffer mean_buffer = mean.buffer();
  KernelBuffer sum_buffer = sum_dy.buffer();
  KernelBuffer xmu_buffer = sum_dy_xmu.buffer();
  run_kernel(
      function, kernel,
      {dy_buffer.get(), x_buffer.get(), mean_buffer.get(), sum_buffer.get(), xmu_buffer.get()});
}

const Kernel& sums_kernel(const View& dy, const View& x) {
  return kernel_for(form_of(rows::batch_norm_backward_reduce, should_fetch({&dy, &x})), x);
}

/// What dx is made of besides dy and x.
struct Coefficients {
  Channels weight, mean, invstd, sum_dy, sum_dy_xmu;

  [[nodiscard]] Coefficients part(const Box& b) const noexcept {
    return {weight.part(b.first_c, b.c), mean.part(b.first_c, b.c), invstd.part(b.first_c, b.c),
            sum_dy.part(b.first_c, b.c), sum_dy_xmu.part(b.first_c, b.c)};
  }
};

void run_gradient(const char* function, const View& dy, const View& x, const Coefficients& k,
                  double count, const View& dx, bool streams) {
  KernelBuffer dy_buffer = dy.buffer();
  KernelBuffer x_buffer = x.buffer();
  KernelBuffer weight_buffer = k.weight.buffer();
  KernelBuffer mean_buffer = k.mean.buffer();
  KernelBuffer invstd_buffer = k.invstd.buffer();
  KernelBuffer sum_buffer = k.sum_dy.buffer();
  KernelBuffer xmu_buffer = k.sum_dy_xmu.buffer();
  KernelBuffer dx_buffer = dx.buffer();
  const Rows& form = form_of(rows::batch_norm_backward_elemt, streams && starts_at_line(dx));
  run_kernel(function, kernel_for(form, x),
             {dy_buffer.get(), x_buffer.get(), weight_buffer.get(), mean_buffer.get(),
              invstd_buffer.get(), sum_buffer.get(), xmu_buffer.get(), &count, dx_buffer.get()});
}

/// The sums of boxes, added in their order. `run(count, task)` runs the tasks.
template <class Run>
void sums_of_boxes(const char* function, const View& dy, const View& x, const Boxes& boxes,
                   const Channels& mean, const Channels& sum_dy, const Channels& sum_dy_xmu,
                   Run run) {
  const Kernel& kernel = sums_kernel(dy, x);
  const Scratch sums(boxes.size() * x.C);
  const Scratch xmu(boxes.size() * x.C);
  run(boxes.size(), [&](std::int64_t i) {
    const Box b = boxes[i];
    run_sums(function, kernel, dy.part(b), x.part(b), mean.part(b.first_c, b.c),
             sums.channels().part(i * x.C, b.c), xmu.channels().part(i * x.C, b.c));
  });
  std::fill_n(sum_dy.doubles(), x.C, 0.0);
  std::fill_n(sum_dy_xmu.doubles(), x.C, 0.0);
  for (std::int64_t i = 0; i < boxes.size(); ++i) {
    const Box b = boxes[i];
    for (std::int64_t c = 0; c < b.c; ++c) {
      sum_dy.doubles()[b.first_c + c] += sums.get()[i * x.C + c];
      sum_dy_xmu.doubles()[b.first_c + c] += xmu.get()[i * x.C + c];
    }
  }
}

void sums_of_columns(const char* function, const Fold& fold, const View& dy, const View& x,
                     const Channels& mean, const Channels& sum_dy, const Channels& sum_dy_xmu) {
  const Scratch sums(fold.columns());
  const Scratch xmu(fold.columns());
  sums_pass(function, fold.folded(dy), fold.folded(x), Columns(fold, mean).get(), sums.channels(),
            xmu.channels());
  add_columns(fold, sums.get(), sum_dy.doubles());
  add_columns(fold, xmu.get(), sum_dy_xmu.doubles());
  const View rest = fold.left_over(x);
  if (rest.N > 0) {
    const View rest_dy = fold.left_over(dy);
    run_sums(function, sums_kernel(rest_dy, rest), rest_dy, rest, mean,
             sums.channels().part(0, x.C), xmu.channels().part(0, x.C));
    for (std::int64_t c = 0; c < x.C; ++c) {
      sum_dy.doubles()[c] += sums.get()[c];
      sum_dy_xmu.doubles()[c] += xmu.get()[c];
    }
  }
}

void gradient_of_columns(const char* function, const Fold& fold, const View& dy, const View& x,
                         const Coefficients& k, double count, const View& dx) {
  gradient_pass(function, fold.folded(dy), fold.folded(x), Columns(fold, k.weight).get(),
                Columns(fold, k.mean).get(), Columns(fold, k.invstd).get(),
                Columns(fold, k.sum_dy).get(), Columns(fold, k.sum_dy_xmu).get(), count,
                fold.folded(dx));
  const View rest = fold.left_over(x);
  if (rest.N > 0) {
    run_gradient(function, fold.left_over(dy), rest, k, count, fold.left_over(dx), false);
  }
}

bool fit_kernel(const View& dy, const View& x, const View& dx) {
  return dy.fits_kernel() && x.fits_kernel() && dx.fits_kernel();
}

Boxes boxes_of(const View& dy, const View& x, const View& dx) {
  // Views of one shape differ in their strides alone; the widest decides.
  const View& wider = std::abs(dy.stride_n) > std::abs(dx.stride_n) ? dy : dx;
  return kernel_boxes(x, wider);
}

/// Whether the sums and dx are made one after the other, rather than in one kernel.
bool in_two_passes(const View& dy, const View& x, const View& dx, bool streams) {
  return !fit_kernel(dy, x, dx) || should_split(x) || find_fold_for_sums({&x, &dy, &dx}) ||
         (streams && (x.layout == Layout::nlc || sums_in_double(x)));
}

/// The sums, then dx = weight * invstd * dy.
void backward_infer_in_two_passes(const char* function, const View& dy, const View& x,
                                  const Channels& weight, const Channels& running_mean,
                                  const Channels& running_var, double eps, const View& dx,
                                  const Channels& dweight, const Channels& dbias) {
  const Scratch mean(x.C);
  const Scratch invstd(x.C);
  const Scratch zeros(x.C);
  for (std::int64_t c = 0; c < x.C; ++c) {
    mean.get()[c] = running_mean.at(c);
    invstd.get()[c] = 1 / std::sqrt(running_var.at(c) + eps);
    zeros.get()[c] = 0;
  }
  sums_pass(function, dy, x, mean.channels(), dbias, dweight);
  float zero32 = 0;
  double zero64 = 0;
  const bool wide = weight.dtype == DType::Float64;
  const Channels no_bias{wide ? static_cast<void*>(&zero64) : static_cast<void*>(&zero32),
                         weight.dtype, x.C, 0};
  // dy normalized about 0.
  normalize_pass(function, dy, weight, no_bias, zeros.channels(), invstd.channels(), dx);
  for (std::int64_t c = 0; c < x.C; ++c) {
    dweight.doubles()[c] *= invstd.get()[c];
  }
}

}  // namespace

void sums_pass(const char* function, const View& dy, const View& x, const Channels& mean,
               const Channels& sum_dy, const Channels& sum_dy_xmu) {
  if (const auto fold = find_fold_for_sums({&x, &dy})) {
    sums_of_columns(function, *fold, dy, x, mean, sum_dy, sum_dy_xmu);
  } else if (!fit_kernel(dy, x, x)) {
    sums_of_boxes(function, dy, x, boxes_of(dy, x, x), mean, sum_dy, sum_dy_xmu,
                  [](std::int64_t count, auto task) {
                    for (std::int64_t i = 0; i < count; ++i) {
                      task(i);
                    }
                  });
  } else if (should_split(x)) {
    sums_of_boxes(function, dy, x, split_boxes(x), mean, sum_dy, sum_dy_xmu,
                  [](std::int64_t count, auto task) { parallel_for(count, std::ref(task)); });
  } else {
    run_sums(function, sums_kernel(dy, x), dy, x, mean, sum_dy, sum_dy_xmu);
  }
}

void gradient_pass(const char* function, const View& dy, const View& x, const Channels& weight,
                   const Channels& mean, const Channels& invstd, const Channels& sum_dy,
                   const Channels& sum_dy_xmu, double count, const View& dx) {
  const Coefficients k{weight, mean, invstd, sum_dy, sum_dy_xmu};
  const bool streams = should_stream(dx, {&x, &dy, &dx});
  if (const auto fold = streams ? find_streaming_fold({&x, &dy, &dx}) : find_fold({&x, &dy, &dx})) {
    gradient_of_columns(function, *fold, dy, x, k, count, dx);
    return;
  }
  if (!fit_kernel(dy, x, dx)) {
    const Boxes boxes = boxes_of(dy, x, dx);
    for (std::int64_t i = 0; i < boxes.size(); ++i) {
      const Box b = boxes[i];
      run_gradient(function, dy.part(b), x.part(b), k.part(b), count, dx.part(b), streams);
    }
  } else {
    run_gradient(function, dy, x, k, count, dx, streams);
  }
  if (streams) {
    finish_streaming();
  }
}

void backward_pass(const char* function, const View& dy, const View& x, const Channels& weight,
                   const Channels& mean, const Channels& invstd, const View& dx,
                   const Channels& dweight, const Channels& dbias, bool adds) {
  const bool streams = should_stream(dx, {&x, &dy, &dx});
  if (!streams && in_groups({&x, &dy, &dx}, [&](const Box& b) {
        backward_pass(function, dy.part(b), x.part(b), weight.part(b.first_c, b.c),
                      mean.part(b.first_c, b.c), invstd.part(b.first_c, b.c), dx.part(b),
                      dweight.part(b.first_c, b.c), dbias.part(b.first_c, b.c));
      })) {
    return;
  }
  if (in_two_passes(dy, x, dx, streams)) {
    sums_pass(function, dy, x, mean, dbias, dweight);
    gradient_pass(function, dy, x, weight, mean, invstd, dbias, dweight, x.count(), dx);
    for (std::int64_t c = 0; c < x.C; ++c) {
      dweight.doubles()[c] *= invstd.doubles()[c];
    }
    return;
  }
  KernelBuffer dy_buffer = dy.buffer();
  KernelBuffer x_buffer = x.buffer();
  KernelBuffer weight_buffer = weight.buffer();
  KernelBuffer mean_buffer = mean.buffer();
  KernelBuffer invstd_buffer = invstd.buffer();
  KernelBuffer dx_buffer = dx.buffer();
  KernelBuffer dweight_buffer = dweight.buffer();
  KernelBuffer dbias_buffer = dbias.buffer();
  if (adds) {
    run_kernel(function, kernel_for(rows::batch_norm_backward_add, x),
               {dy_buffer.get(), x_buffer.get(), weight_buffer.get(), mean_buffer.get(),
                invstd_buffer.get(), dweight_buffer.get(), dbias_buffer.get(), dx_buffer.get(),
                dweight_buffer.get(), dbias_buffer.get()});
    return;
  }
  run_kernel(function, kernel_for(form_of(rows::batch_norm_backward, streams), x),
             {dy_buffer.get(), x_buffer.get(), weight_buffer.get(), mean_buffer.get(),
              invstd_buffer.get(), dx_buffer.get(), dweight_buffer.get(), dbias_buffer.get()});
  if (streams) {
    finish_streaming();
  }
}

void backward_infer_pass(const char* function, const View& dy, const View& x,
                         const Channels& weight, const Channels& running_mean,
                         const Channels& running_var, double eps, const View& dx,
                         const Channels& dweight, const Channels& dbias) {
  // The kernel's dx does not wait for its sums, and would overwrite the dy that they still need.
  const bool streams = should_stream(dx, {&dy, &dx});
  if (!streams && in_groups({&x, &dy, &dx}, [&](const Box& b) {
        backward_infer_pass(function, dy.part(b), x.part(b), weight.part(b.first_c, b.c),
                            running_mean.part(b.first_c, b.c), running_var.part(b.first_c, b.c),
                            eps, dx.part(b), dweight.part(b.first_c, b.c),
                            dbias.part(b.first_c, b.c));
      })) {
    return;
  }
  if (dx.data == dy.data || streams || in_two_passes(dy, x, dx, streams)) {
    backward_infer_in_two_passes(function, dy, x, weight, running_mean, running_var, eps, dx,
                                 dweight, dbias);
    return;
  }
  KernelBuffer dy_buffer = dy.buffer();
  KernelBuffer x_buffer = x.buffer();
  KernelBuffer weight_buffer = weight.buffer();
  KernelBuffer mean_buffer = running_mean.buffer();
  KernelBuffer var_buffer = running_var.buffer();
  KernelBuffer dx_buffer = dx.buffer();
  KernelBuffer dweight_buffer = dweight.buffer();
  KernelBuffer dbias_buffer = dbias.buffer();
  run_kernel(function, kernel_for(rows::batch_norm_backward_infer, x),
             {dy_buffer.get(), x_buffer.get(), weight_buffer.get(), mean_buffer.get(),
              var_buffer.get(), &eps, dx_buffer.get(), dweight_buffer.get(), dbias_buffer.get()});
}

}  // namespace halnorm::detail
