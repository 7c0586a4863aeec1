#include <utility>

#include "functional/arguments/check.h"
#include "functional/infer.h"
#include "functional/train.h"
#include "halnorm/functional.h"

namespace halnorm::HALNORM_ABI::functional {

using detail::plain_infer;
using detail::plain_train;
using detail::RunningUpdate;
using detail::TrainStatistics;

BatchNormForward batch_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                  double eps, Tensor out) {
  TrainStatistics buffers;
  return detail::train({plain_train.function, plain_train, x, weight, bias, eps, out, buffers});
}

BatchNormForward batch_norm_train_update(const Tensor& x, const Tensor& running_mean,
                                         const Tensor& running_var, const Tensor& weight,
                                         const Tensor& bias, double factor, double eps,
                                         Tensor out) {
  const RunningUpdate update(running_mean, running_var, factor);
  TrainStatistics buffers;
  return detail::train(
      {plain_train.function_with_update, plain_train, x, weight, bias, eps, out, buffers, &update});
}

Tensor batch_norm_infer(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                        const Tensor& weight, const Tensor& bias, double eps, Tensor out) {
  return detail::infer(
      {plain_infer.function, plain_infer, x, running_mean, running_var, weight, bias, eps, out});
}

Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight, const Tensor& bias, bool training,
                  std::optional<double> momentum, double eps, Tensor out) {
  constexpr const char* function = "batch_norm";
  const bool running = detail::check_pair(function, running_mean, running_var);
  if (running && !training) {
    return detail::infer(
        {function, plain_infer, x, running_mean, running_var, weight, bias, eps, out});
  }
  detail::check_linked(function, plain_train.operation);
  if (running && momentum) {
    detail::check_factor(function, "momentum", *momentum);
  }
  const RunningUpdate update(running_mean, running_var, momentum.value_or(0));
  TrainStatistics buffers;
  return detail::train({function, plain_train, x, weight, bias, eps, out, buffers,
                        running && momentum ? &update : nullptr})
      .y;
}

}  // namespace halnorm::HALNORM_ABI::functional
