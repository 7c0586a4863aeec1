#pragma once

#include "halnorm/functional.h"

namespace halnorm::HALNORM_ABI::detail {

/// The moments of a tensor that is checked; `function` names the caller in errors. Channels that
/// leave float32's range are computed again in float64.
functional::Moments moments(const char* function, const Tensor& x);

}  // namespace halnorm::HALNORM_ABI::detail
