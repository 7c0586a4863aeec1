#include "functional/range/gradient_fallback.h"

#include "functional/arguments/data_view.h"
#include "plan/execution/execute.h"

namespace halnorm::HALNORM_ABI::detail {

std::pair<Tensor, Tensor> gradient_sums(const char* function, const Tensor& dy, const Tensor& x,
                                        const Tensor& mean_arg) {
  const DataOperands data(layout_of(x), {&x, &dy});
  const Tensor mean = mean_arg.to(DType::Float64);
  std::pair<Tensor, Tensor> sums{Tensor::empty(mean.shape(), DType::Float64, x.device()),
                                 Tensor::empty(mean.shape(), DType::Float64, x.device())};
  execute(function, ReduceOperands{data.input(1), data.input(0), channels_of(mean),
                                   channels_of(sums.first), channels_of(sums.second)});
  return sums;
}

std::vector<std::int64_t> GradientFallback::channels(const Tensor& dweight,
                                                     const Tensor& dbias) const {
  if (overwritten_) {
    return {};
  }
  return extreme_gradients(x_, channels_of(mean_), invstd_,
                           weight_channels(weight_, invstd_.size(), x_),
                           {dbias, dweight, true, static_cast<double>(extents_of(x_).count())});
}

std::vector<std::int64_t> GradientFallback::channels(const Tensor& sum_dy, const Tensor& sum_dy_xmu,
                                                     double count) const {
  return extreme_gradients(x_, channels_of(mean_), invstd_,
                           weight_channels(weight_, invstd_.size(), x_),
                           {sum_dy, sum_dy_xmu, false, count});
}

Tensor GradientFallback::keep(const char* function, const Tensor& dy, const Tensor& out) {
  if (!loses_extremes(out, dy)) {
    return dy;
  }
  const auto [sum_dy, sum_dy_xmu] = gradient_sums(function, dy, x_, mean_);
  overwritten_ = channels(sum_dy, sum_dy_xmu, static_cast<double>(extents_of(x_).count())).empty();
  return overwritten_ ? dy : dy.clone();
}

}  // namespace halnorm::HALNORM_ABI::detail
