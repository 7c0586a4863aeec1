#pragma once

#include "halnorm/dtype.h"
#include "support/oracle.h"

/// @file
/// The tolerances of results. u is the unit roundoff of the accumulator: 2^-53 for Float64, 2^-24
/// for Float32 and for the 16-bit types, whose values are exact in it.
///
/// y = (x - mean) * (invstd * weight) + bias. The difference, the factor and the product are
/// rounded once each and the sum once more: 3u * |xhat * weight| + u * |y|, at most 7u * max|y|
/// with biases up to the size of the weights. To this come the statistics. Each is a sum of short
/// partial sums in the data's precision, merged in double: with K terms in a partial sum its
/// relative error is at most K * u, and about sqrt(K) * u if roundings are independent; K is a few
/// hundred at most, the partial sums are many, and half of a variance's relative error reaches
/// invstd. 10u is left for them in Float32: in all 17u, the 1e-6 that is aimed at. Float64 adds up
/// as long partial sums and merges them no more precisely than it made them: in all 64u.
///
/// The mean enters through x - mean. It is held in Float64, so that of a large mean an error of
/// u64 * |mean| remains; relative to the deviation that is u64 * |mean| * invstd, doubled for the
/// rounding of the merge that made it. Float32 data add to this the rounding of the mean's low
/// part, (2^-24)^2 * |mean|.
///
/// dx = weight * invstd * (dy - dbias / M - xhat * dweight / M): the same roundings, relative to
/// the largest sum of the magnitudes of the three terms, since they may cancel (with M = 2 they do
/// entirely). dweight and dbias are sums of M terms, relative to the largest of them, but at least
/// to the root of the sum of squares of their terms (a sum of either sign may be near zero by
/// chance), plus the mean's error for dweight. Nothing halves the errors of their partial sums, and
/// those of K terms of one sign may come to K * u / 4: 168u in all, the 1e-5 that is aimed at.
///
/// A y or dx of 16 bits is a value of the accumulator's type, rounded once more: storing() adds
/// half of the distance to its neighbour, for each element by its own size, so that a conversion
/// which cuts off, or rounds twice visibly, is found.

namespace tolerance {

/// Relative error of an invstd and of values computed from it: 17u, for Float64 64u.
double relative(halnorm::DType dtype);

/// The error of rounding `value` to 16 bits: half of the distance between two neighbours, or
/// between two subnormals. The value itself is known to within 2^-10 of that. The error is 0 for
/// float32 and float64.
double storing(halnorm::DType dtype, double value);

/// The tolerance of y = xhat * weight + bias.
double normalized(halnorm::DType dtype, const oracle::Values& y, const oracle::Values& mean,
                  const oracle::Values& invstd, const oracle::Values& weight);

struct OfGradients {
  double dx = 0;
  double dweight = 0;
  double dbias = 0;
};
OfGradients gradients(halnorm::DType dtype, const oracle::Batch& dy, const oracle::Batch& x,
                      const oracle::Values& mean, const oracle::Values& invstd,
                      const oracle::Values& weight, const oracle::Gradients& truth);

}  // namespace tolerance
