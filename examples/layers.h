#pragma once

#include <halnorm/halnorm.h>

#include <cstdint>
#include <string>

/// @file
/// The layers around the batch normalization of the demo: float32, dense, on Eigen. As modules of
/// halnorm they take part in train(), zero_grad(), state_dict() and the rest of the tree.
///
/// Each keeps the tensors that the backward of its latest forward needs, and nothing under a
/// NoGradGuard.

namespace demo {

/// y = x W^T + b: (N, in) to (N, out). W starts as He et al. 2015 (arXiv:1502.01852) advise.
class Linear : public halnorm::nn::Module {
 public:
  Linear(std::int64_t in_features, std::int64_t out_features, std::uint64_t seed);
  halnorm::Tensor forward(const halnorm::Tensor& x) override;
  halnorm::Tensor backward(const halnorm::Tensor& grad_output) override;
  [[nodiscard]] std::string extra_repr() const override;

 private:
  halnorm::Parameter weight_;  // (out, in)
  halnorm::Parameter bias_;    // (out)
  halnorm::Tensor input_;
};

struct Conv1dOptions {
  std::int64_t in_channels = 1;
  std::int64_t out_channels = 1;
  std::int64_t kernel_size = 1;
  std::int64_t stride = 1;
  std::int64_t padding = 0;
};

/// Cross-correlation along L: (N, in, L) to (N, out, L').
class Conv1d : public halnorm::nn::Module {
 public:
  Conv1d(const Conv1dOptions& options, std::uint64_t seed);
  halnorm::Tensor forward(const halnorm::Tensor& x) override;
  halnorm::Tensor backward(const halnorm::Tensor& grad_output) override;
  [[nodiscard]] std::string extra_repr() const override;

 private:
  Conv1dOptions options_;
  halnorm::Parameter weight_;  // (out, in, kernel)
  halnorm::Parameter bias_;    // (out)
  halnorm::Tensor input_;
};

/// y = max(x, 0).
class ReLU : public halnorm::nn::Module {
 public:
  halnorm::Tensor forward(const halnorm::Tensor& x) override;
  halnorm::Tensor backward(const halnorm::Tensor& grad_output) override;

 private:
  halnorm::Tensor output_;
};

/// The mean over L: (N, C, L) to (N, C).
class GlobalAveragePool : public halnorm::nn::Module {
 public:
  halnorm::Tensor forward(const halnorm::Tensor& x) override;
  halnorm::Tensor backward(const halnorm::Tensor& grad_output) override;

 private:
  std::int64_t length_ = 0;
};

}  // namespace demo
