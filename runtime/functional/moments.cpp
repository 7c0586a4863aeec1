#include <algorithm>
#include <string>

#include "functional/arguments/check.h"
#include "functional/merge_moments.h"
#include "functional/range/range_fallback.h"
#include "functional/running_update.h"
#include "halnorm/error.h"
#include "halnorm/functional.h"
#include "plan/execute.h"

namespace halnorm::HALNORM_ABI::detail {

/// Chan et al. 1979, equation 2.1.
void merge_into(HostMoments& a, const HostMoments& b, std::int64_t channels) {
  if (b.count == 0) {
    return;
  }
  if (a.count == 0) {
    a.count = b.count;
    std::copy_n(b.mean, channels, a.mean);
    std::copy_n(b.m2, channels, a.m2);
    return;
  }
  const double share = b.count / (a.count + b.count);
  for (std::int64_t c = 0; c < channels; ++c) {
    const double delta = b.mean[c] - a.mean[c];
    a.mean[c] += delta * share;
    a.m2[c] += b.m2[c] + delta * delta * a.count * share;
  }
  a.count += b.count;
}

}  // namespace halnorm::HALNORM_ABI::detail

namespace halnorm::HALNORM_ABI::functional {

using detail::Extents;
using detail::Layout;

namespace {

Tensor scalar(double value) { return Tensor::full({}, value, DType::Float64); }

/// Tensors for the moments; zeros of an empty batch, into which no kernel writes.
Moments new_moments(const Extents& e, Device device) {
  const auto values = [&] {
    return e.numel() == 0 ? Tensor::zeros({e.C}, DType::Float64, device)
                          : Tensor::empty({e.C}, DType::Float64, device);
  };
  return {scalar(static_cast<double>(e.count())), values(), values()};
}

void run_moments(const char* function, const Tensor& x_arg, const Moments& m) {
  const Layout layout = detail::layout_of(x_arg);
  const Tensor x = detail::in_layout_or_items(x_arg, layout);
  detail::execute(function,
                  detail::MomentsOperands{detail::ViewOf(layout, {&x})(x),
                                          detail::channels_of(m.mean), detail::channels_of(m.m2)});
}

}  // namespace

Moments batch_norm_moments(const Tensor& x) {
  constexpr const char* function = "batch_norm_moments";
  detail::check_linked(function, detail::Operation::batch_norm_moments);
  const Extents e = detail::check_data(function, "x", x);
  Moments m = new_moments(e, x.device());
  if (e.numel() == 0) {
    return m;
  }
  run_moments(function, x, m);
  for (const std::int64_t c :
       detail::extreme_moments(x, m.mean, m.m2, static_cast<double>(e.count()), 0.0,
                               detail::weight_channels(Tensor(), e.C, x))) {
    Moments result = new_moments({e.N, 1, e.L}, x.device());
    run_moments(function, detail::range_fallback_channel(x, c), result);
    detail::store_channel(m.mean, c, result.mean);
    detail::store_channel(m.m2, c, result.m2);
  }
  return m;
}

namespace {

Moments on(const Moments& m, Device device) {
  return {m.count, m.mean.to(device), m.m2.to(device)};
}

}  // namespace

Moments merge(const Moments& a, const Moments& b) {
  constexpr const char* function = "merge";
  const double count_a = detail::check_count(function, a.count);
  const double count_b = detail::check_count(function, b.count);
  if (!a.mean.defined() || a.mean.dim() != 1) {
    throw ShapeError("merge: the first mean has no shape (C,), wanted one value per channel");
  }
  const std::int64_t channels = a.mean.size(0);
  const Device device = a.mean.device();
  if (device != Device::cpu()) {
    detail::check_statistic(function, "mean", b.mean, a.mean.size(0), device);
    return on(merge(on(a, Device::cpu()), on(b, Device::cpu())), device);
  }
  const Tensor mean_a = detail::check_statistic(function, "mean", a.mean, channels, device);
  const Tensor m2_a = detail::check_statistic(function, "m2", a.m2, channels, device);
  const Tensor mean_b = detail::check_statistic(function, "mean", b.mean, channels, device);
  const Tensor m2_b = detail::check_statistic(function, "m2", b.m2, channels, device);
  if (count_a == 0 && count_b == 0) {
    return new_moments({0, channels, 0}, device);
  }
  Moments m{scalar(count_a + count_b), mean_a.clone(), m2_a.clone()};
  detail::HostMoments both{count_a, m.mean.data<double>(), m.m2.data<double>()};
  detail::merge_into(both, {count_b, mean_b.data<double>(), m2_b.data<double>()}, channels);
  return m;
}

void update_running_stats(const Tensor& running_mean, const Tensor& running_var,
                          const Moments& moments, double factor) {
  constexpr const char* function = "update_running_stats";
  detail::check_linked(function, detail::Operation::update_running_stats);
  const double count = detail::check_update(function, running_mean, running_var, moments, factor);
  const std::int64_t channels = running_mean.size(0);
  const Tensor mean = detail::check_statistic(function, "moments.mean", moments.mean, channels,
                                              running_mean.device());
  const Tensor m2 =
      detail::check_statistic(function, "moments.m2", moments.m2, channels, running_mean.device());
  if (count == 0 || channels == 0) {
    return;
  }
  detail::RunningUpdate(running_mean, running_var, factor).run(function, mean, m2, count);
}

}  // namespace halnorm::HALNORM_ABI::functional
