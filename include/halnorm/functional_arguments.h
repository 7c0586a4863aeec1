#pragma once

#include <optional>

#include "halnorm/functional.h"
#include "halnorm/functional_fused.h"
#include "halnorm/tensor.h"

/// @file
/// The functions of seven arguments and more, with their arguments by name. An argument that is
/// left out is undefined, or has the default of the modules:
///
///     const Tensor y = functional::batch_norm({.x = x, .weight = w, .bias = b, .training = true});
///
/// functional.h and functional_fused.h document the arguments, the results and the errors.

namespace halnorm::HALNORM_ABI::functional {

// Without an initializer GCC warns of each call that leaves the member out.
// NOLINTBEGIN(readability-redundant-member-init)

/// The arguments of batch_norm().
struct BatchNormArguments {
  Tensor x = {};                         ///< as in batch_norm()
  Tensor running_mean = {};              ///< as in batch_norm()
  Tensor running_var = {};               ///< as in batch_norm()
  Tensor weight = {};                    ///< as in batch_norm()
  Tensor bias = {};                      ///< as in batch_norm()
  bool training = false;                 ///< as in batch_norm()
  std::optional<double> momentum = 0.1;  ///< as in batch_norm()
  double eps = 1e-5;                     ///< as in batch_norm()
  Tensor out = {};                       ///< as in batch_norm()
};
/// batch_norm() with its arguments by name.
inline Tensor batch_norm(const BatchNormArguments& a) {
  return batch_norm(a.x, a.running_mean, a.running_var, a.weight, a.bias, a.training, a.momentum,
                    a.eps, a.out);
}

/// The arguments of batch_norm_train_update().
struct BatchNormTrainUpdateArguments {
  Tensor x = {};             ///< as in batch_norm_train_update()
  Tensor running_mean = {};  ///< as in batch_norm_train_update()
  Tensor running_var = {};   ///< as in batch_norm_train_update()
  Tensor weight = {};        ///< as in batch_norm_train_update()
  Tensor bias = {};          ///< as in batch_norm_train_update()
  double factor = 0.1;       ///< as in batch_norm_train_update()
  double eps = 1e-5;         ///< as in batch_norm_train_update()
  Tensor out = {};           ///< as in batch_norm_train_update()
};
/// batch_norm_train_update() with its arguments by name.
inline BatchNormForward batch_norm_train_update(const BatchNormTrainUpdateArguments& a) {
  return batch_norm_train_update(a.x, a.running_mean, a.running_var, a.weight, a.bias, a.factor,
                                 a.eps, a.out);
}

/// The arguments of batch_norm_infer().
struct BatchNormInferArguments {
  Tensor x = {};             ///< as in batch_norm_infer()
  Tensor running_mean = {};  ///< as in batch_norm_infer()
  Tensor running_var = {};   ///< as in batch_norm_infer()
  Tensor weight = {};        ///< as in batch_norm_infer()
  Tensor bias = {};          ///< as in batch_norm_infer()
  double eps = 1e-5;         ///< as in batch_norm_infer()
  Tensor out = {};           ///< as in batch_norm_infer()
};
/// batch_norm_infer() with its arguments by name.
inline Tensor batch_norm_infer(const BatchNormInferArguments& a) {
  return batch_norm_infer(a.x, a.running_mean, a.running_var, a.weight, a.bias, a.eps, a.out);
}

/// The arguments of batch_norm_backward_infer().
struct BatchNormBackwardInferArguments {
  Tensor dy = {};            ///< as in batch_norm_backward_infer()
  Tensor x = {};             ///< as in batch_norm_backward_infer()
  Tensor weight = {};        ///< as in batch_norm_backward_infer()
  Tensor running_mean = {};  ///< as in batch_norm_backward_infer()
  Tensor running_var = {};   ///< as in batch_norm_backward_infer()
  double eps = 1e-5;         ///< as in batch_norm_backward_infer()
  Tensor out = {};           ///< as in batch_norm_backward_infer()
};
/// batch_norm_backward_infer() with its arguments by name.
inline BatchNormBackward batch_norm_backward_infer(const BatchNormBackwardInferArguments& a) {
  return batch_norm_backward_infer(a.dy, a.x, a.weight, a.running_mean, a.running_var, a.eps,
                                   a.out);
}

/// The arguments of batch_norm_backward_elemt().
struct BatchNormBackwardElemtArguments {
  Tensor dy = {};          ///< as in batch_norm_backward_elemt()
  Tensor x = {};           ///< as in batch_norm_backward_elemt()
  Tensor mean = {};        ///< as in batch_norm_backward_elemt()
  Tensor invstd = {};      ///< as in batch_norm_backward_elemt()
  Tensor weight = {};      ///< as in batch_norm_backward_elemt()
  Tensor sum_dy = {};      ///< as in batch_norm_backward_elemt()
  Tensor sum_dy_xmu = {};  ///< as in batch_norm_backward_elemt()
  Tensor count = {};       ///< as in batch_norm_backward_elemt()
  Tensor out = {};         ///< as in batch_norm_backward_elemt()
};
/// batch_norm_backward_elemt() with its arguments by name.
inline Tensor batch_norm_backward_elemt(const BatchNormBackwardElemtArguments& a) {
  return batch_norm_backward_elemt(a.dy, a.x, a.mean, a.invstd, a.weight, a.sum_dy, a.sum_dy_xmu,
                                   a.count, a.out);
}

/// The arguments of fuse_conv_bn_weights().
struct FuseConvBnWeightsArguments {
  Tensor conv_w = {};      ///< as in fuse_conv_bn_weights()
  Tensor conv_b = {};      ///< as in fuse_conv_bn_weights()
  Tensor bn_rm = {};       ///< as in fuse_conv_bn_weights()
  Tensor bn_rv = {};       ///< as in fuse_conv_bn_weights()
  double bn_eps = 1e-5;    ///< as in fuse_conv_bn_weights()
  Tensor bn_w = {};        ///< as in fuse_conv_bn_weights()
  Tensor bn_b = {};        ///< as in fuse_conv_bn_weights()
  bool transpose = false;  ///< as in fuse_conv_bn_weights()
};
/// fuse_conv_bn_weights() with its arguments by name.
inline FusedWeights fuse_conv_bn_weights(const FuseConvBnWeightsArguments& a) {
  return fuse_conv_bn_weights(a.conv_w, a.conv_b, a.bn_rm, a.bn_rv, a.bn_eps, a.bn_w, a.bn_b,
                              a.transpose);
}

/// The arguments of fuse_linear_bn_weights().
struct FuseLinearBnWeightsArguments {
  Tensor linear_w = {};  ///< as in fuse_linear_bn_weights()
  Tensor linear_b = {};  ///< as in fuse_linear_bn_weights()
  Tensor bn_rm = {};     ///< as in fuse_linear_bn_weights()
  Tensor bn_rv = {};     ///< as in fuse_linear_bn_weights()
  double bn_eps = 1e-5;  ///< as in fuse_linear_bn_weights()
  Tensor bn_w = {};      ///< as in fuse_linear_bn_weights()
  Tensor bn_b = {};      ///< as in fuse_linear_bn_weights()
};
/// fuse_linear_bn_weights() with its arguments by name.
inline FusedWeights fuse_linear_bn_weights(const FuseLinearBnWeightsArguments& a) {
  return fuse_linear_bn_weights(a.linear_w, a.linear_b, a.bn_rm, a.bn_rv, a.bn_eps, a.bn_w, a.bn_b);
}

/// The arguments of batch_norm_fused_train().
struct BatchNormFusedTrainArguments {
  Tensor x = {};       ///< as in batch_norm_fused_train()
  Tensor addend = {};  ///< as in batch_norm_fused_train()
  Tensor weight = {};  ///< as in batch_norm_fused_train()
  Tensor bias = {};    ///< as in batch_norm_fused_train()
  double eps = 1e-5;   ///< as in batch_norm_fused_train()
  Tensor out = {};     ///< as in batch_norm_fused_train()
  double slope = 0;    ///< as in batch_norm_fused_train()
};
/// batch_norm_fused_train() with its arguments by name.
inline BatchNormForward batch_norm_fused_train(const BatchNormFusedTrainArguments& a) {
  return batch_norm_fused_train(a.x, a.addend, a.weight, a.bias, a.eps, a.out, a.slope);
}

/// The arguments of batch_norm_fused_train_update().
struct BatchNormFusedTrainUpdateArguments {
  Tensor x = {};             ///< as in batch_norm_fused_train_update()
  Tensor addend = {};        ///< as in batch_norm_fused_train_update()
  Tensor running_mean = {};  ///< as in batch_norm_fused_train_update()
  Tensor running_var = {};   ///< as in batch_norm_fused_train_update()
  Tensor weight = {};        ///< as in batch_norm_fused_train_update()
  Tensor bias = {};          ///< as in batch_norm_fused_train_update()
  double factor = 0.1;       ///< as in batch_norm_fused_train_update()
  double eps = 1e-5;         ///< as in batch_norm_fused_train_update()
  Tensor out = {};           ///< as in batch_norm_fused_train_update()
  double slope = 0;          ///< as in batch_norm_fused_train_update()
};
/// batch_norm_fused_train_update() with its arguments by name.
inline BatchNormForward batch_norm_fused_train_update(const BatchNormFusedTrainUpdateArguments& a) {
  return batch_norm_fused_train_update(a.x, a.addend, a.running_mean, a.running_var, a.weight,
                                       a.bias, a.factor, a.eps, a.out, a.slope);
}

/// The arguments of batch_norm_fused_infer().
struct BatchNormFusedInferArguments {
  Tensor x = {};             ///< as in batch_norm_fused_infer()
  Tensor addend = {};        ///< as in batch_norm_fused_infer()
  Tensor running_mean = {};  ///< as in batch_norm_fused_infer()
  Tensor running_var = {};   ///< as in batch_norm_fused_infer()
  Tensor weight = {};        ///< as in batch_norm_fused_infer()
  Tensor bias = {};          ///< as in batch_norm_fused_infer()
  double eps = 1e-5;         ///< as in batch_norm_fused_infer()
  Tensor out = {};           ///< as in batch_norm_fused_infer()
  double slope = 0;          ///< as in batch_norm_fused_infer()
};
/// batch_norm_fused_infer() with its arguments by name.
inline Tensor batch_norm_fused_infer(const BatchNormFusedInferArguments& a) {
  return batch_norm_fused_infer(a.x, a.addend, a.running_mean, a.running_var, a.weight, a.bias,
                                a.eps, a.out, a.slope);
}

/// The arguments of batch_norm_fused_backward().
struct BatchNormFusedBackwardArguments {
  Tensor dy = {};      ///< as in batch_norm_fused_backward()
  Tensor x = {};       ///< as in batch_norm_fused_backward()
  Tensor y = {};       ///< as in batch_norm_fused_backward()
  Tensor weight = {};  ///< as in batch_norm_fused_backward()
  Tensor mean = {};    ///< as in batch_norm_fused_backward()
  Tensor invstd = {};  ///< as in batch_norm_fused_backward()
  Tensor out = {};     ///< as in batch_norm_fused_backward()
  double slope = 0;    ///< as in batch_norm_fused_backward()
};
/// batch_norm_fused_backward() with its arguments by name.
inline BatchNormFusedBackward batch_norm_fused_backward(const BatchNormFusedBackwardArguments& a) {
  return batch_norm_fused_backward(a.dy, a.x, a.y, a.weight, a.mean, a.invstd, a.out, a.slope);
}

/// The arguments of batch_norm_fused_backward_infer().
struct BatchNormFusedBackwardInferArguments {
  Tensor dy = {};            ///< as in batch_norm_fused_backward_infer()
  Tensor x = {};             ///< as in batch_norm_fused_backward_infer()
  Tensor y = {};             ///< as in batch_norm_fused_backward_infer()
  Tensor weight = {};        ///< as in batch_norm_fused_backward_infer()
  Tensor running_mean = {};  ///< as in batch_norm_fused_backward_infer()
  Tensor running_var = {};   ///< as in batch_norm_fused_backward_infer()
  double eps = 1e-5;         ///< as in batch_norm_fused_backward_infer()
  Tensor out = {};           ///< as in batch_norm_fused_backward_infer()
  double slope = 0;          ///< as in batch_norm_fused_backward_infer()
};
/// batch_norm_fused_backward_infer() with its arguments by name.
inline BatchNormFusedBackward batch_norm_fused_backward_infer(
    const BatchNormFusedBackwardInferArguments& a) {
  return batch_norm_fused_backward_infer(a.dy, a.x, a.y, a.weight, a.running_mean, a.running_var,
                                         a.eps, a.out, a.slope);
}

// NOLINTEND(readability-redundant-member-init)

}  // namespace halnorm::HALNORM_ABI::functional
