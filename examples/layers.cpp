#include "layers.h"

#include <Eigen/Core>
#include <cmath>
#include <utility>

using halnorm::Parameter;
using halnorm::Shape;
using halnorm::Tensor;

namespace demo {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixView = Eigen::Map<Matrix>;
using VectorView = Eigen::Map<Eigen::VectorXf>;

MatrixView matrix(const Tensor& t, std::int64_t rows, std::int64_t columns) {
  return {t.data<float>(), rows, columns};
}

MatrixView matrix(const Tensor& t) { return matrix(t, t.size(0), t.numel() / t.size(0)); }

/// The (C, L) plane of one example of an (N, C, L) tensor.
MatrixView plane(const Tensor& t, std::int64_t n) {
  return {t.data<float>() + n * t.size(1) * t.size(2), t.size(1), t.size(2)};
}

VectorView vector(const Tensor& t) { return {t.data<float>(), t.numel()}; }

Parameter he_normal(Shape shape, std::uint64_t seed) {
  Tensor values = Tensor::randn(std::move(shape), seed);
  const std::int64_t fan_in = values.numel() / values.size(0);
  vector(values) *= std::sqrt(2.0F / static_cast<float>(fan_in));
  return Parameter(values);
}

/// Keeps a tensor for the backward; nothing if no backward follows.
Tensor remember(const Tensor& t) { return halnorm::grad_enabled() ? t : Tensor(); }

}  // namespace

Linear::Linear(std::int64_t in_features, std::int64_t out_features, std::uint64_t seed)
    : weight_(he_normal({out_features, in_features}, seed)), bias_(Tensor::zeros({out_features})) {
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
}

Tensor Linear::forward(const Tensor& x) {
  const Tensor weight = weight_.data();
  const Tensor y = Tensor::empty({x.size(0), weight.size(0)});
  matrix(y).noalias() = matrix(x) * matrix(weight).transpose();
  matrix(y).rowwise() += vector(bias_.data()).transpose();
  input_ = remember(x);
  return y;
}

Tensor Linear::backward(const Tensor& grad_output) {
  const Tensor weight = weight_.data();
  const Tensor dweight = Tensor::empty(weight.shape());
  matrix(dweight).noalias() = matrix(grad_output).transpose() * matrix(input_);
  weight_.accumulate_grad(dweight);

  const Tensor dbias = Tensor::empty({weight.size(0)});
  vector(dbias) = matrix(grad_output).colwise().sum().transpose();
  bias_.accumulate_grad(dbias);

  const Tensor dx = Tensor::empty(input_.shape());
  matrix(dx).noalias() = matrix(grad_output) * matrix(weight);
  return dx;
}

std::string Linear::extra_repr() const {
  const Shape& shape = weight_.data().shape();
  return std::to_string(shape[1]) + ", " + std::to_string(shape[0]);
}

namespace {

std::int64_t output_length(const Conv1dOptions& o, std::int64_t length) {
  return (length + 2 * o.padding - o.kernel_size) / o.stride + 1;
}

/// Calls visit(row, column, channel, t) for each element of the (in * kernel, L') matrix of the
/// windows that lies inside the signal; the others are padding.
template <class Visit>
void for_each_tap(const Conv1dOptions& o, std::int64_t length, Visit visit) {
  for (std::int64_t row = 0; row < o.in_channels * o.kernel_size; ++row) {
    const std::int64_t channel = row / o.kernel_size;
    for (std::int64_t column = 0; column < output_length(o, length); ++column) {
      const std::int64_t t = column * o.stride + row % o.kernel_size - o.padding;
      if (t >= 0 && t < length) visit(row, column, channel, t);
    }
  }
}

Matrix windows(const Conv1dOptions& o, const MatrixView& x) {
  Matrix result = Matrix::Zero(o.in_channels * o.kernel_size, output_length(o, x.cols()));
  for_each_tap(o, x.cols(), [&](auto row, auto column, auto channel, auto t) {
    result(row, column) = x(channel, t);
  });
  return result;
}

}  // namespace

Conv1d::Conv1d(const Conv1dOptions& options, std::uint64_t seed)
    : options_(options),
      weight_(he_normal({options.out_channels, options.in_channels, options.kernel_size}, seed)),
      bias_(Tensor::zeros({options.out_channels})) {
  register_parameter("weight", weight_);
  register_parameter("bias", bias_);
}

Tensor Conv1d::forward(const Tensor& x) {
  const Tensor y =
      Tensor::empty({x.size(0), options_.out_channels, output_length(options_, x.size(2))});
  for (std::int64_t n = 0; n < x.size(0); ++n) {
    plane(y, n).noalias() = matrix(weight_.data()) * windows(options_, plane(x, n));
    plane(y, n).colwise() += vector(bias_.data());
  }
  input_ = remember(x);
  return y;
}

Tensor Conv1d::backward(const Tensor& grad_output) {
  const Tensor dweight = Tensor::zeros(weight_.data().shape());
  const Tensor dbias = Tensor::zeros(bias_.data().shape());
  const Tensor dx = Tensor::zeros(input_.shape());
  for (std::int64_t n = 0; n < dx.size(0); ++n) {
    const MatrixView dy = plane(grad_output, n);
    matrix(dweight).noalias() += dy * windows(options_, plane(input_, n)).transpose();
    vector(dbias) += dy.rowwise().sum();

    const Matrix taps = matrix(weight_.data()).transpose() * dy;
    MatrixView dx_plane = plane(dx, n);
    for_each_tap(options_, dx.size(2), [&](auto row, auto column, auto channel, auto t) {
      dx_plane(channel, t) += taps(row, column);
    });
  }
  weight_.accumulate_grad(dweight);
  bias_.accumulate_grad(dbias);
  return dx;
}

std::string Conv1d::extra_repr() const {
  return std::to_string(options_.in_channels) + ", " + std::to_string(options_.out_channels) +
         ", kernel_size=" + std::to_string(options_.kernel_size) +
         ", stride=" + std::to_string(options_.stride) +
         ", padding=" + std::to_string(options_.padding);
}

Tensor ReLU::forward(const Tensor& x) {
  const Tensor y = Tensor::empty(x.shape());
  vector(y) = vector(x).cwiseMax(0.0F);
  output_ = remember(y);
  return y;
}

Tensor ReLU::backward(const Tensor& grad_output) {
  const Tensor dx = Tensor::empty(grad_output.shape());
  vector(dx) = (vector(output_).array() > 0.0F).select(vector(grad_output), 0.0F);
  return dx;
}

Tensor GlobalAveragePool::forward(const Tensor& x) {
  const Tensor y = Tensor::empty({x.size(0), x.size(1)});
  length_ = x.size(2);
  vector(y) = matrix(x, y.numel(), length_).rowwise().mean();
  return y;
}

Tensor GlobalAveragePool::backward(const Tensor& grad_output) {
  const Tensor dx = Tensor::empty({grad_output.size(0), grad_output.size(1), length_});
  matrix(dx, grad_output.numel(), length_).colwise() =
      vector(grad_output) / static_cast<float>(length_);
  return dx;
}

}  // namespace demo
