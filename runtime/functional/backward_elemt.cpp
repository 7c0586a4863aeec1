#include <algorithm>
#include <utility>
#include <vector>

#include "functional/arguments/check.h"
#include "functional/arguments/data_view.h"
#include "functional/arguments/parameter_types.h"
#include "functional/range/gradient_fallback.h"
#include "functional/range/range_fallback.h"
#include "halnorm/functional.h"
#include "plan/execution/execute.h"

namespace halnorm::HALNORM_ABI::functional {

using detail::Extents;
using detail::GradientFallback;
using detail::InvstdOrVar;

namespace {

/// The per-channel operands of dx: Float64, and a weight of the kernel's dtype.
struct Coefficients {
  Tensor weight, mean, invstd, sum_dy, sum_dy_xmu;
  double count;

  [[nodiscard]] Coefficients range_fallback(std::int64_t c) const {
    return {
        detail::range_fallback_channel(weight, c),     detail::range_fallback_channel(mean, c),
        detail::range_fallback_channel(invstd, c),     detail::range_fallback_channel(sum_dy, c),
        detail::range_fallback_channel(sum_dy_xmu, c), count};
  }
};

/// Arguments are checked, and the batch is not empty.
Tensor run_elemt(const char* function, const Tensor& dy, const Tensor& x, const Coefficients& k,
                 const Tensor& out) {
  detail::DataOperands data(detail::elementwise_layout_of(x), {&x, &dy}, out);
  detail::execute(function, detail::BackwardElemtOperands{
                                .dy = data.input(1),
                                .x = data.input(0),
                                .weight = detail::weight_channels(k.weight, x.shape()[1], x),
                                .mean = detail::channels_of(k.mean),
                                .invstd = detail::channels_of(k.invstd),
                                .sum_dy = detail::channels_of(k.sum_dy),
                                .sum_dy_xmu = detail::channels_of(k.sum_dy_xmu),
                                .count = k.count,
                                .dx = data.output()});
  return data.finish();
}

/// The same, and again in float64 for the channels that leave float32's range.
Tensor run_in_range(const char* function, const Tensor& dy_arg, const Tensor& x_arg,
                    const Coefficients& c, const Tensor& out) {
  const detail::LoadedParameter weight(c.weight, x_arg.dtype());
  const InvstdOrVar invstds(c.invstd);
  const GradientFallback fallback(x_arg, c.mean, weight.get(), invstds);
  const std::vector<std::int64_t> extremes = fallback.channels(c.sum_dy, c.sum_dy_xmu, c.count);
  const bool copies = !extremes.empty() && detail::loses_extremes(out, dy_arg);
  const Tensor dy = copies ? dy_arg.clone() : dy_arg;
  const Coefficients k{weight.get(), c.mean, c.invstd, c.sum_dy, c.sum_dy_xmu, c.count};
  Tensor dx = run_elemt(function, dy, x_arg, k, out);
  for (const std::int64_t channel : extremes) {
    detail::store_channel(dx, channel,
                          run_elemt(function, detail::range_fallback_channel(dy, channel),
                                    detail::range_fallback_channel(x_arg, channel),
                                    k.range_fallback(channel), Tensor()));
  }
  return dx;
}

/// The sum over `count` values. Over no values it is 0, and the tensor is ignored.
Tensor sum_over(double count, const Tensor& sum) {
  return count > 0 ? sum : Tensor::zeros(sum.shape(), DType::Float64, sum.device());
}

}  // namespace

Tensor batch_norm_backward_elemt(const Tensor& dy_arg, const Tensor& x_arg, const Tensor& mean_arg,
                                 const Tensor& invstd_arg, const Tensor& weight_arg,
                                 const Tensor& sum_dy_arg, const Tensor& sum_dy_xmu_arg,
                                 const Tensor& count, Tensor out) {
  constexpr const char* function = "batch_norm_backward_elemt";
  detail::check_linked(function, detail::Operation::batch_norm_backward_elemt);
  const Extents e = detail::check_gradient(function, dy_arg, x_arg, weight_arg);
  const Device device = x_arg.device();
  const Tensor mean = detail::check_statistic(function, "mean", mean_arg, e.C, device);
  const Tensor invstd = detail::check_statistic(function, "invstd", invstd_arg, e.C, device);
  const double total = detail::check_count(function, count);
  const Tensor sum_dy =
      sum_over(total, detail::check_statistic(function, "sum_dy", sum_dy_arg, e.C, device));
  const Tensor sum_dy_xmu =
      sum_over(total, detail::check_statistic(function, "sum_dy_xmu", sum_dy_xmu_arg, e.C, device));
  detail::check_out(
      function, out, dy_arg,
      {&dy_arg, &x_arg, &weight_arg, &mean_arg, &invstd_arg, &sum_dy_arg, &sum_dy_xmu_arg, &count});
  if (e.numel() == 0) {
    return detail::empty_result(x_arg, out);
  }
  const Coefficients c{weight_arg, mean, invstd, sum_dy, sum_dy_xmu, std::max(total, 1.0)};
  if (detail::wants_widened_data(x_arg, {&weight_arg})) {
    const Tensor dx =
        run_in_range(function, detail::widened(dy_arg), detail::widened(x_arg), c, Tensor());
    return detail::narrowed(dx, x_arg, std::move(out));
  }
  return run_in_range(function, dy_arg, x_arg, c, out);
}

}  // namespace halnorm::HALNORM_ABI::functional
