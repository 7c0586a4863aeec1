#include <algorithm>
#include <utility>
#include <vector>

#include "functional/arguments/check.h"
#include "functional/arguments/output.h"
#include "functional/arguments/parameter_types.h"
#include "functional/range/gradient_fallback.h"
#include "functional/range/range_fallback.h"
#include "halnorm/functional.h"
#include "plan/execute.h"

namespace halnorm::functional {

using detail::Extents;
using detail::GradientFallback;
using detail::InvstdOrVar;
using detail::Layout;

namespace {

/// What dx is made of besides dy and x: Float64, and a weight of the kernel's dtype.
struct Coefficients {
  Tensor weight, mean, invstd, sum_dy, sum_dy_xmu;
  double count;

  [[nodiscard]] Coefficients wide(std::int64_t c) const {
    return {detail::wide_channel(weight, c),     detail::wide_channel(mean, c),
            detail::wide_channel(invstd, c),     detail::wide_channel(sum_dy, c),
            detail::wide_channel(sum_dy_xmu, c), count};
  }
};

/// Arguments are checked, and the batch is not empty.
Tensor run_elemt(const char* function, const Tensor& given_dy, const Tensor& given_x,
                 const Coefficients& k, const Tensor& out) {
  const Layout layout = detail::elementwise_layout_of(given_x);
  const Tensor x = detail::in_layout_or_items(given_x, layout);
  const Tensor dy = detail::in_layout_or_items(given_dy, layout);
  detail::Output dx(out, given_x, layout, true);
  const detail::ViewOf view(layout, {&dy, &x, &dx.target()});
  detail::execute(function, detail::BackwardElemtOperands{
                                .dy = view(dy),
                                .x = view(x),
                                .weight = detail::weight_channels(k.weight, given_x.shape()[1], x),
                                .mean = detail::channels_of(k.mean),
                                .invstd = detail::channels_of(k.invstd),
                                .sum_dy = detail::channels_of(k.sum_dy),
                                .sum_dy_xmu = detail::channels_of(k.sum_dy_xmu),
                                .count = k.count,
                                .dx = view(dx.target())});
  return dx.finish();
}

/// The same, and again in float64 for the channels that leave float32's range.
Tensor run_in_range(const char* function, const Tensor& given_dy, const Tensor& given_x,
                    const Coefficients& c, const Tensor& out) {
  const detail::LoadedParameter weight(c.weight, given_x.dtype());
  const InvstdOrVar invstds(c.invstd);
  const GradientFallback fallback(given_x, c.mean, weight.get(), invstds);
  const std::vector<std::int64_t> extremes = fallback.channels(c.sum_dy, c.sum_dy_xmu, c.count);
  const bool copies = !extremes.empty() && detail::loses_extremes(out, given_dy);
  const Tensor dy = copies ? given_dy.clone() : given_dy;
  const Coefficients k{weight.get(), c.mean, c.invstd, c.sum_dy, c.sum_dy_xmu, c.count};
  Tensor dx = run_elemt(function, dy, given_x, k, out);
  for (const std::int64_t channel : extremes) {
    detail::store_channel(
        dx, channel,
        run_elemt(function, detail::wide_channel(dy, channel),
                  detail::wide_channel(given_x, channel), k.wide(channel), Tensor()));
  }
  return dx;
}

/// A sum over so many values: over none it is 0, whatever the tensor holds.
Tensor sum_over(double count, const Tensor& sum) {
  return count > 0 ? sum : Tensor::zeros(sum.shape(), DType::Float64, sum.device());
}

}  // namespace

Tensor batch_norm_backward_elemt(const Tensor& given_dy, const Tensor& given_x,
                                 const Tensor& given_mean, const Tensor& given_invstd,
                                 const Tensor& given_weight, const Tensor& given_sum_dy,
                                 const Tensor& given_sum_dy_xmu, const Tensor& count, Tensor out) {
  constexpr const char* function = "batch_norm_backward_elemt";
  detail::check_linked(function, detail::Operation::batch_norm_backward_elemt);
  const Extents e = detail::check_gradient(function, given_dy, given_x, given_weight);
  const Device device = given_x.device();
  const Tensor mean = detail::check_statistic(function, "mean", given_mean, e.C, device);
  const Tensor invstd = detail::check_statistic(function, "invstd", given_invstd, e.C, device);
  const double total = detail::check_count(function, count);
  const Tensor sum_dy =
      sum_over(total, detail::check_statistic(function, "sum_dy", given_sum_dy, e.C, device));
  const Tensor sum_dy_xmu = sum_over(
      total, detail::check_statistic(function, "sum_dy_xmu", given_sum_dy_xmu, e.C, device));
  detail::check_out(function, out, given_dy,
                    {&given_dy, &given_x, &given_weight, &given_mean, &given_invstd, &given_sum_dy,
                     &given_sum_dy_xmu, &count});
  if (e.numel() == 0) {
    return out.defined() ? out : detail::empty_in_layout(given_x, Layout::ncl);
  }
  const Coefficients c{given_weight, mean, invstd, sum_dy, sum_dy_xmu, std::max(total, 1.0)};
  if (detail::wants_wide_data(given_x, {&given_weight})) {
    const Tensor dx =
        run_in_range(function, detail::widened(given_dy), detail::widened(given_x), c, Tensor());
    return detail::narrowed(dx, given_x, std::move(out));
  }
  return run_in_range(function, given_dy, given_x, c, out);
}

}  // namespace halnorm::functional
