#include <cmath>
#include <string>

#include "c_api/outputs.h"
#include "halnorm/error.h"
#include "halnorm/functional.h"

namespace F = halnorm::functional;
using halnorm::Tensor;
using halnorm::c_api::Call;
using halnorm::c_api::Channels;
using halnorm::c_api::check_any_apart;
using halnorm::c_api::count_output;
using halnorm::c_api::guarded_with_tensors;
using halnorm::c_api::required;
using halnorm::c_api::statistic_input;
using halnorm::c_api::statistic_output;
using halnorm::c_api::store;

namespace {

/// F::merge() checks a count too, but its message cannot say which of the two it is.
Tensor count_input(Call& call, const char* name, const DLTensor* given) {
  Tensor count = required(call, name, given);
  const std::string prefix = std::string(call.function) + ": " + name;
  if (count.numel() != 1) {
    throw halnorm::ShapeError(prefix + " has " + std::to_string(count.numel()) +
                              " elements, wanted one");
  }
  const auto value = count.item<double>();
  const bool counts = value >= 0 && value <= 0x1p53 && value == std::trunc(value);
  if (!counts) {
    throw halnorm::ValueError(prefix + " is " + std::to_string(value) +
                              ", wanted a whole number from 0 to 2^53");
  }
  return count;
}

/// The first mean says how many channels there are.
Channels channels_of_mean(const Call& call, const Tensor& mean) {
  if (mean.dim() != 1) {
    throw halnorm::ShapeError(std::string(call.function) + ": mean_a has " +
                              std::to_string(mean.dim()) + " axes, wanted one value per channel");
  }
  return {.count = mean.size(0), .device = mean.device()};
}

}  // namespace

halnorm_status halnorm_merge(const DLTensor* count_a, const DLTensor* mean_a, const DLTensor* m2_a,
                             const DLTensor* count_b, const DLTensor* mean_b, const DLTensor* m2_b,
                             const DLTensor* count, const DLTensor* mean, const DLTensor* m2) {
  Call call{.function = __func__};
  return guarded_with_tensors(call, [&] {
    const Channels channels = channels_of_mean(call, required(call, "mean_a", mean_a));
    const F::Moments a{count_input(call, "count_a", count_a),
                       statistic_input(call, "mean_a", mean_a, channels),
                       statistic_input(call, "m2_a", m2_a, channels)};
    const F::Moments b{count_input(call, "count_b", count_b),
                       statistic_input(call, "mean_b", mean_b, channels),
                       statistic_input(call, "m2_b", m2_b, channels)};
    const Tensor to_count = count_output(call, "count", count);
    const Tensor to_mean = statistic_output(call, "mean", mean, channels);
    const Tensor to_m2 = statistic_output(call, "m2", m2, channels);
    check_any_apart(call, {{"count", to_count}, {"mean", to_mean}, {"m2", to_m2}});
    const F::Moments r = F::merge(a, b);
    store(r.count, to_count);
    store(r.mean, to_mean);
    store(r.m2, to_m2);
  });
}
