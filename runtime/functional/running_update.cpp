#include "functional/running_update.h"

#include "functional/arguments/data_view.h"
#include "functional/arguments/parameter_types.h"
#include "plan/execution/execute.h"

namespace halnorm::HALNORM_ABI::detail {

std::optional<RunningStatistics> RunningUpdate::statistics_for(
    const Tensor& x, std::initializer_list<const Tensor*> others) const {
  if (!running_.kernel_can_update(x, others)) {
    return std::nullopt;
  }
  return RunningStatistics{channels_of(running_.first), channels_of(running_.second), factor_};
}

void RunningUpdate::count_writes() const noexcept {
  count_write(running_.first);
  count_write(running_.second);
}

/// A kernel updates contiguous float32 or float64 statistics. Others are copied; 16-bit ones are
/// copied in float64, so that they are rounded once.
void RunningUpdate::run(const char* function, const Tensor& batch_mean, const Tensor& batch_m2,
                        double count) const {
  count_writes();
  const auto& [running_mean, running_var] = running_;
  const bool narrow = size_of(running_mean.dtype()) < size_of(DType::Float32);
  const Tensor dense_mean = narrow ? running_mean.to(DType::Float64) : running_mean.contiguous();
  const Tensor dense_var = narrow ? running_var.to(DType::Float64) : running_var.contiguous();
  const Channels mean = channels_of(dense_mean);
  const Channels var = channels_of(dense_var);
  execute(function, UpdateOperands{mean, var, channels_of(batch_mean), channels_of(batch_m2), count,
                                   factor_});
  if (!dense_mean.is_same(running_mean)) {
    store_channels(running_mean, dense_mean);
  }
  if (!dense_var.is_same(running_var)) {
    store_channels(running_var, dense_var);
  }
}

}  // namespace halnorm::HALNORM_ABI::detail
