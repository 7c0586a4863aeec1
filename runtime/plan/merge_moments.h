#pragma once

#include <cstdint>

#include "halnorm/version.h"

namespace halnorm::HALNORM_ABI::detail {

/// Moments of one sample for each channel, on the host.
struct HostMoments {
  double count;
  double* mean;
  double* m2;
};

/// `a` becomes the moments of both samples. The values of an empty sample are ignored.
void merge_into(HostMoments& a, const HostMoments& b, std::int64_t channels);

}  // namespace halnorm::HALNORM_ABI::detail
