#pragma once

#include <algorithm>
#include <cstdint>

#include "halnorm/version.h"

namespace halnorm::HALNORM_ABI::detail {

/// Moments of `count` values of each channel, on the host.
struct HostMoments {
  double count;
  double* mean;
  double* m2;
};

/// `a` becomes the moments of both samples. The values of an empty sample are ignored.
/// Chan, Golub and LeVeque 1979, equation 2.1.
inline void merge_into(HostMoments& a, const HostMoments& b, std::int64_t channels) {
  if (b.count == 0) {
    return;
  }
  if (a.count == 0) {
    a.count = b.count;
    std::copy_n(b.mean, channels, a.mean);
    std::copy_n(b.m2, channels, a.m2);
    return;
  }
  const double share = b.count / (a.count + b.count);
  for (std::int64_t c = 0; c < channels; ++c) {
    const double delta = b.mean[c] - a.mean[c];
    a.mean[c] += delta * share;
    a.m2[c] += b.m2[c] + delta * delta * a.count * share;
  }
  a.count += b.count;
}

}  // namespace halnorm::HALNORM_ABI::detail
