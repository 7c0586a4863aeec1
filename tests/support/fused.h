#pragma once

#include "halnorm/functional_fused.h"
#include "support/cases/element.h"
#include "support/cases/problem.h"
#include "support/kernel_test.h"
#include "support/tolerance.h"

/// @file
/// y = relu(batch_norm(x) + addend): the problem, its truth and the tolerance of a result.

namespace fused {

/// A problem with an addend, in the same layout as x.
struct AddedProblem : Problem {
  placement::Placed addend;
  oracle::Batch addend_values;

  AddedProblem(inputs::Source source, placement::Layout layout, const shapes::Extents& shape,
               halnorm::DType dtype, double mean)
      : Problem(source, layout, shape, dtype, mean), addend(layout, shape, dtype) {
    // The addend has another seed, because it must not depend on x.
    source.normal();
    addend.assign(source.normals(shape.numel()));
    addend_values = addend.batch();
  }
};

/// relu(normalized + addend), in the oracle's precision.
inline oracle::Values add_relu(const oracle::Values& normalized, const oracle::Batch& addend,
                               double slope = 0) {
  oracle::Values y;
  for (std::size_t i = 0; i < normalized.size(); ++i) {
    const oracle::Real sum = normalized[i] + addend.values[i];
    y.push_back(sum < 0 ? slope * sum : sum);
  }
  return y;
}

/// dy where y > 0, otherwise slope * dy.
inline oracle::Batch rectified(const oracle::Batch& dy, const oracle::Batch& y, double slope = 0) {
  oracle::Batch result = dy;
  for (std::size_t i = 0; i < dy.values.size(); ++i) {
    if (y.values[i] <= 0) {
      result.values[i] *= slope;
    }
  }
  return result;
}

/// The sum is rounded once more, at most at the size of its two terms; relu moves no two values
/// further apart, with a slope up to 1.
inline void expect_y(const AddedProblem& p, halnorm::DType dtype, const oracle::Batch& got,
                     const oracle::Values& normalized, const oracle::Values& mean,
                     const oracle::Values& invstd, double slope) {
  const double terms = largest(normalized) + largest(inputs::real(p.addend_values.values));
  expect_near(got.values, add_relu(normalized, p.addend_values, slope),
              tolerance::normalized(dtype, normalized, mean, invstd, p.w()) +
                  element::roundoff(element::of_parameters(dtype)) * terms,
              "y", dtype);
}

inline void expect_trained(const AddedProblem& p, halnorm::DType dtype, const oracle::Batch& got,
                           double eps, double slope = 0) {
  const oracle::Statistics batch = oracle::statistics(p.x_values);
  const oracle::Values invstd = batch.invstd(eps);
  expect_y(p, dtype, got, oracle::normalize(p.x_values, batch.mean, invstd, p.w(), p.b()),
           batch.mean, invstd, slope);
}

inline void expect_inferred(const AddedProblem& p, halnorm::DType dtype, const oracle::Batch& got,
                            double eps, double slope = 0) {
  const oracle::Running running = p.running();
  const oracle::Values exact(running.mean.size(), 0);  // no error of the mean is allowed for
  expect_y(p, dtype, got, oracle::infer(p.x_values, running, p.w(), p.b(), eps), exact,
           oracle::invstd_of(running.variance, eps), slope);
}

}  // namespace fused
