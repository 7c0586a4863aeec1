#include "plan/execution/invstd.h"

#include <cmath>

namespace halnorm::HALNORM_ABI::detail {

// Compiled without errno, which no sqrt of a vector sets. In place, because the compiler then needs
// no test for an overlap.
void to_invstd(std::span<double> values, double count, double eps) noexcept {
  for (double& value : values) {
    value = 1 / std::sqrt(value / count + eps);
  }
}

}  // namespace halnorm::HALNORM_ABI::detail
