#pragma once

#include <optional>

#include "functional/arguments/data_view.h"
#include "halnorm/functional.h"
#include "halnorm/tensor.h"
#include "kernels/choice.h"

/// @file
/// The checks of arguments. The functions of this room call them once, and no layer below checks
/// again. Each
/// throws an exception with the function's name, the value that it got and the value that it
/// wanted.

namespace halnorm::HALNORM_ABI::detail {

[[noreturn]] void throw_left_out(const char* function, const char* groups);

/// Throws if the build left the operation out. The compiler then drops the code after the call.
inline void check_linked(const char* function, Operation operation) {
  if (const char* groups = missing_groups(operation); groups != nullptr) {
    throw_left_out(function, groups);
  }
}

/// A data tensor: defined, of a dtype that has kernels, at least (N, C); on a device within the
/// reach of one kernel.
Extents check_data(const char* function, const char* name, const Tensor& x);

/// A tensor of x's shape, dtype and device.
void check_like(const char* function, const char* name, const Tensor& t, const Tensor& x);

/// One value per channel in a floating dtype, on x's device; may be undefined if `optional`.
void check_parameter(const char* function, const char* name, const Tensor& t, const Tensor& x,
                     std::int64_t channels, bool optional);

/// The inputs of every backward: x, a dy like x, and an optional weight.
Extents check_gradient(const char* function, const Tensor& dy, const Tensor& x,
                       const Tensor& weight);

/// Two parameters have one dtype if both are defined.
void check_same_dtype(const char* function, const char* name, const Tensor& t,
                      const char* other_name, const Tensor& other);

/// weight and bias, both optional.
void check_affine(const char* function, const Tensor& x, const Extents& e, const Tensor& weight,
                  const Tensor& bias);

/// Running statistics, both defined.
void check_running(const char* function, const Tensor& x, const Extents& e,
                   const Tensor& running_mean, const Tensor& running_var);

/// One value per channel in Float64; Float32 is widened.
Tensor check_statistic(const char* function, const char* name, const Tensor& t,
                       std::int64_t channels, Device device);

/// Both running statistics or neither. Returns whether they are defined.
bool check_pair(const char* function, const Tensor& running_mean, const Tensor& running_var);

/// Running statistics that will be written: no two of their values share memory.
void check_written(const char* function, const Tensor& running_mean, const Tensor& running_var);

/// `out`, if defined, has the shape, dtype and device of `like`. No two of its elements share
/// memory. It overlaps no input and no addend, but it may be `like` itself or the addend itself.
/// The addend is null if there is none.
void check_out(const char* function, const Tensor& out, const Tensor& like,
               std::initializer_list<const Tensor*> inputs, const Tensor* addend = nullptr);

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

/// The arguments of an update of running statistics, which do not overlap the moments. Returns the
/// count.
double check_update(const char* function, const Tensor& running_mean, const Tensor& running_var,
                    const functional::Moments& moments, double factor);

}  // namespace halnorm::HALNORM_ABI::detail
