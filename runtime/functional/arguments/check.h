#pragma once

#include <optional>

#include "functional/arguments/data_view.h"
#include "halnorm/functional.h"
#include "halnorm/tensor.h"
#include "kernels/choice.h"

/// @file
/// The checks on every argument: made once, at the edge, and nowhere below. Each throws an
/// exception that names the function, what it got and what it wanted.

namespace halnorm::detail {

[[noreturn]] void throw_left_out(const char* function, const char* groups);

/// The build has the operation's kernels. Otherwise the compiler leaves out what follows too.
inline void check_linked(const char* function, Operation operation) {
  if (const char* groups = missing_groups(operation); groups != nullptr) {
    throw_left_out(function, groups);
  }
}

/// A data tensor: defined, on the host, of a dtype that has kernels, at least (N, C).
Extents check_data(const char* function, const char* name, const Tensor& x);

/// A data tensor for an operation that has no split form: within what one kernel's 32-bit indices
/// reach.
void check_one_kernel(const char* function, const char* name, const Tensor& x);

/// A tensor that goes with x: x's shape, dtype and device.
void check_like(const char* function, const char* name, const Tensor& t, const Tensor& x);

/// One value per channel in a floating dtype, on x's device; may be undefined if `optional`.
void check_parameter(const char* function, const char* name, const Tensor& t, const Tensor& x,
                     std::int64_t channels, bool optional);

/// What every backward takes: x, dy like it, and a weight or none.
Extents check_gradient(const char* function, const Tensor& dy, const Tensor& x,
                       const Tensor& weight);

/// Two parameters that belong together have one dtype, where both are defined.
void check_same_dtype(const char* function, const char* name, const Tensor& t,
                      const char* other_name, const Tensor& other);

/// weight and bias, or none of either.
void check_affine(const char* function, const Tensor& x, const Extents& e, const Tensor& weight,
                  const Tensor& bias);

/// Running statistics, both defined.
void check_running(const char* function, const Tensor& x, const Extents& e,
                   const Tensor& running_mean, const Tensor& running_var);

/// One value per channel in Float64, or in Float32 and then widened.
Tensor check_statistic(const char* function, const char* name, const Tensor& t,
                       std::int64_t channels, Device device);

/// Both running statistics or neither. Returns whether they are defined.
bool check_pair(const char* function, const Tensor& running_mean, const Tensor& running_var);

/// Running statistics that are about to be written: each value in a place of its own.
void check_written(const char* function, const Tensor& running_mean, const Tensor& running_var);

/// `out`, if defined: like x, each element in a place of its own, and apart from `inputs` except
/// that it may be exactly `same`.
void check_out(const char* function, const Tensor& out, const Tensor& same,
               std::initializer_list<const Tensor*> inputs);

/// eps is finite and not negative.
void check_eps(const char* function, double eps);

/// The slope of a leaky relu is finite and not negative.
void check_slope(const char* function, double slope);

/// More than one value per channel, in PyTorch's words; none at all is allowed.
void check_batch(const char* function, const Tensor& x, const Extents& e);

/// A factor of a running statistic is finite.
void check_factor(const char* function, const char* name, double factor);

/// A count of values per channel: one element, a whole number from 0 to 2^53. Returns it.
double check_count(const char* function, const Tensor& count);

/// What an update of running statistics needs besides the moments' values, which it must not
/// overwrite. Returns the count.
double check_update(const char* function, const Tensor& running_mean, const Tensor& running_var,
                    const functional::Moments& moments, double factor);

}  // namespace halnorm::detail
