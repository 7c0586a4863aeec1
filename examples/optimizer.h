#pragma once

#include <halnorm/halnorm.h>

#include <utility>
#include <vector>

namespace demo {

/// Gradient descent with momentum: v = momentum * v + grad, parameter -= learning_rate * v.
class Sgd {
 public:
  explicit Sgd(std::vector<halnorm::Parameter> parameters, float momentum = 0.9F)
      : parameters_(std::move(parameters)), momentum_(momentum) {
    for (const halnorm::Parameter& parameter : parameters_) {
      velocities_.push_back(halnorm::Tensor::zeros(parameter.data().shape()));
    }
  }

  void step(float learning_rate) {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const auto count = parameters_[i].data().numel();
      auto* const value = parameters_[i].data().data<float>();
      const auto* const gradient = parameters_[i].grad().data<float>();
      auto* const velocity = velocities_[i].data<float>();
      for (std::int64_t k = 0; k < count; ++k) {
        velocity[k] = momentum_ * velocity[k] + gradient[k];
        value[k] -= learning_rate * velocity[k];
      }
    }
  }

 private:
  std::vector<halnorm::Parameter> parameters_;
  std::vector<halnorm::Tensor> velocities_;
  float momentum_;
};

}  // namespace demo
