#pragma once

#include <cstdint>
#include <string>

#include "support/cases/element.h"
#include "support/cases/inputs.h"
#include "support/cases/random_view.h"
#include "support/oracle.h"

/// @file
/// Random batches, layers and options, each made from one number.

struct RandomCase {
  enum class Operation : std::uint8_t {
    train,
    train_update,
    infer,
    backward,
    backward_infer,
    moments,
    elemt,
    split_backward,
  };

  explicit RandomCase(std::uint64_t seed);

  /// The dtype of the arithmetic, for the dtypes that the operation sees.
  [[nodiscard]] halnorm::DType computed(bool with_running) const;
  /// The output for y or dx: `out`, one of the inputs, or a new tensor.
  [[nodiscard]] halnorm::Tensor target(RandomView& in_place_of);
  [[nodiscard]] std::string str() const;

  RandomView::Random random;
  Operation operation;
  halnorm::Shape shape;
  halnorm::DType dtype;
  halnorm::DType affine_dtype;   ///< of weight and bias
  halnorm::DType running_dtype;  ///< of the running statistics
  RandomView x, dy, out;
  double eps = 1e-5;
  double factor = 0.1;
  double mean = 0;  ///< of x, about
  int threads = 1;
  bool in_place = false;
  bool with_out = false;

  oracle::Batch x_values, dy_values;
  halnorm::Tensor weight, bias, running_mean, running_var;  ///< weight and bias may be undefined
  oracle::Values w, b;
  oracle::Running running;

 private:
  void fill();
  halnorm::Tensor channels(oracle::Values& kept, halnorm::DType kept_as, double low, double high);
};
