#pragma once

#include "halnorm/tensor.h"

namespace halnorm::HALNORM_ABI::detail {

/// The statistics of a training forward, one Float64 value per channel each.
struct TrainStatistics {
  Tensor mean, invstd, m2;
};

}  // namespace halnorm::HALNORM_ABI::detail
