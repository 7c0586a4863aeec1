#include "functional/moments.h"

#include <string>

#include "functional/arguments/check.h"
#include "functional/range/range_fallback.h"
#include "functional/running_update.h"
#include "halnorm/error.h"
#include "plan/execution/execute.h"
#include "plan/execution/merge_moments.h"

namespace halnorm::HALNORM_ABI {

namespace {

using detail::Extents;
using functional::Moments;

Tensor scalar(double value) { return Tensor::full({}, value, DType::Float64); }

/// Tensors for the moments; zeros of an empty batch, into which no kernel writes.
Moments new_moments(const Extents& e, Device device) {
  const auto values = [&] {
    return e.numel() == 0 ? Tensor::zeros({e.C}, DType::Float64, device)
                          : Tensor::empty({e.C}, DType::Float64, device);
  };
  return {scalar(static_cast<double>(e.count())), values(), values()};
}

void run_moments(const char* function, const Tensor& x, const Moments& m) {
  const detail::DataOperands data(detail::layout_of(x), {&x});
  detail::execute(function, detail::MomentsOperands{data.input(0), detail::channels_of(m.mean),
                                                    detail::channels_of(m.m2)});
}

/// The moments of both on the host.
Moments merged(double count_a, const Tensor& mean_a, const Tensor& m2_a, double count_b,
               const Tensor& mean_b, const Tensor& m2_b) {
  const std::int64_t channels = mean_a.size(0);
  if (count_a == 0 && count_b == 0) {
    return new_moments({0, channels, 0}, Device::cpu());
  }
  Moments m{scalar(count_a + count_b), mean_a.clone(), m2_a.clone()};
  detail::HostMoments both{count_a, m.mean.data<double>(), m.m2.data<double>()};
  detail::merge_into(both, {count_b, mean_b.data<double>(), m2_b.data<double>()}, channels);
  return m;
}

}  // namespace

Moments detail::moments(const char* function, const Tensor& x) {
  const Extents e = extents_of(x);
  Moments m = new_moments(e, x.device());
  if (e.numel() == 0) {
    return m;
  }
  run_moments(function, x, m);
  for (const std::int64_t c : extreme_moments(x, m.mean, m.m2, static_cast<double>(e.count()), 0.0,
                                              weight_channels(Tensor(), e.C, x))) {
    Moments result = new_moments({e.N, 1, e.L}, x.device());
    run_moments(function, range_fallback_channel(x, c), result);
    store_channel(m.mean, c, result.mean);
    store_channel(m.m2, c, result.m2);
  }
  return m;
}

namespace functional {

Moments batch_norm_moments(const Tensor& x) {
  constexpr const char* function = "batch_norm_moments";
  detail::check_linked(function, detail::Operation::batch_norm_moments);
  detail::check_data(function, "x", x);
  return detail::moments(function, x);
}

Moments merge(const Moments& a, const Moments& b) {
  constexpr const char* function = "merge";
  const double count_a = detail::check_count(function, a.count);
  const double count_b = detail::check_count(function, b.count);
  if (!a.mean.defined() || a.mean.dim() != 1) {
    throw ShapeError("merge: the first mean has no shape (C,), wanted one value per channel");
  }
  const std::int64_t channels = a.mean.size(0);
  const Device device = a.mean.device();
  const auto checked = [&](const char* name, const Tensor& t) {
    const bool is_there = t.defined() && t.device() == device;
    return is_there ? detail::check_statistic(function, name, t.to(Device::cpu()), channels,
                                              Device::cpu())
                    : detail::check_statistic(function, name, t, channels, device);
  };
  const Tensor mean_a = checked("mean", a.mean);
  const Tensor m2_a = checked("m2", a.m2);
  const Tensor mean_b = checked("mean", b.mean);
  const Tensor m2_b = checked("m2", b.m2);
  const Moments m = merged(count_a, mean_a, m2_a, count_b, mean_b, m2_b);
  return {m.count, m.mean.to(device), m.m2.to(device)};
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

}  // namespace functional

}  // namespace halnorm::HALNORM_ABI
