#include "functional/running_update.h"

#include "functional/data_view.h"
#include "functional/parameter_types.h"
#include "kernels/call.h"

namespace halnorm::detail {

std::optional<RunningStatistics> RunningUpdate::statistics_for(
    const Tensor& x, std::initializer_list<const Tensor*> others) const {
  if (!running_.goes_along(x, others)) {
    return std::nullopt;
  }
  return RunningStatistics{channels_of(running_.first), channels_of(running_.second), factor_};
}

void RunningUpdate::count_writes() const noexcept {
  count_write(running_.first);
  count_write(running_.second);
}

/// A kernel has dense float32 or float64 statistics; others go through a copy, the narrow ones
/// through one in float64, so that they are rounded once.
void RunningUpdate::run(const char* function, const Tensor& batch_mean, const Tensor& batch_m2,
                        double count) const {
  count_writes();
  const auto& [running_mean, running_var] = running_;
  const bool narrow = size_of(running_mean.dtype()) < size_of(DType::Float32);
  const Tensor dense_mean = narrow ? running_mean.to(DType::Float64) : running_mean.contiguous();
  const Tensor dense_var = narrow ? running_var.to(DType::Float64) : running_var.contiguous();
  KernelBuffer mean = channels_of(batch_mean).buffer();
  KernelBuffer m2 = channels_of(batch_m2).buffer();
  KernelBuffer old_mean = channels_of(dense_mean).buffer();
  KernelBuffer old_var = channels_of(dense_var).buffer();
  KernelBuffer new_mean = channels_of(dense_mean).buffer();
  KernelBuffer new_var = channels_of(dense_var).buffer();
  const Kernel& kernel = select_kernel(rows::update_running_stats, Layout::c,
                                       element_of(dense_mean.dtype()), dense_mean.device().type);
  run_kernel(function, kernel,
             {old_mean.get(), old_var.get(), mean.get(), m2.get(), &count, &factor_, new_mean.get(),
              new_var.get()});
  if (!dense_mean.is_same(running_mean)) {
    store_channels(running_mean, dense_mean);
  }
  if (!dense_var.is_same(running_var)) {
    store_channels(running_var, dense_var);
  }
}

}  // namespace halnorm::detail
