#pragma once

#include "halnorm/tensor.h"
#include "support/cases/inputs.h"
#include "support/cases/placement.h"
#include "support/cases/shapes.h"
#include "support/oracle.h"

/// @file
/// One batch and one layer, as the library sees them and as the oracle does.

struct Problem {
  shapes::Extents extents;
  placement::Placed x;
  placement::Placed dy;
  placement::Placed out;  ///< NaN until something is written
  inputs::Layer layer;
  halnorm::Tensor weight, bias, running_mean, running_var;
  oracle::Batch x_values;   ///< the elements of x; fewer than assigned in a Broadcast
  oracle::Batch dy_values;  ///< the elements of dy

  /// Values of standard deviation 1 around about `mean`.
  Problem(inputs::Source source, placement::Layout layout, const shapes::Extents& extents,
          halnorm::DType dtype, double mean);

  /// Replaces x by these dense (N, C, L) values.
  void set_x(const std::vector<double>& values);
  /// The same for dy.
  void set_dy(const std::vector<double>& values);

  [[nodiscard]] oracle::Values w() const { return inputs::real(layer.weight); }
  [[nodiscard]] oracle::Values b() const { return inputs::real(layer.bias); }
  [[nodiscard]] oracle::Running running() const {
    return {inputs::real(layer.running_mean), inputs::real(layer.running_var)};
  }
};
