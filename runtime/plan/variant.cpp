#include "plan/variant.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "device/memory.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

/// Elements that a CPU takes in one loop: what one task of a larger kernel has at least.
constexpr std::int64_t small_elements = 16384;

// Its rows are added up in one block, eight at a time.
constexpr std::int64_t small_rows = 512;

// A first-level cache of 48 KB: 64 sets of 12 lines. And rows that cost nothing even where they
// share one set: training on (32, 512) took 0.66 of the time, on (256, 64) 1.29 of it.
constexpr std::int64_t sets = 64, lines_of_set = 12;
constexpr std::int64_t few_rows = 32;

/// Whether the lines that a walk down the rows of `tensors` meets stay in a first-level cache:
/// those a power of two apart share its sets.
bool walk_fits(const View& x, std::int64_t tensors) noexcept {
  if (x.N <= few_rows) {
    return true;
  }
  const std::int64_t row = std::abs(x.stride_n) * static_cast<std::int64_t>(size_of(x.dtype));
  const std::int64_t pitch = std::max<std::int64_t>((row + line_bytes / 2) / line_bytes, 1);
  const std::int64_t walked = row < line_bytes ? x.N * row / line_bytes : x.N;
  return walked * tensors <= sets / std::gcd(pitch, sets) * lines_of_set;
}

bool is_small(const Thresholds& thresholds, const View& x, const Kernel& small) noexcept {
  if (x.memory == nullptr) {
    const bool backward = small.operation == Operation::batch_norm_backward_single_pass;
    const bool in_lines = small.vector_bytes == line_bytes;
    return !x.in_items() && x.N <= small_rows && x.C <= small_elements &&
           x.N * x.C <= small_elements &&
           x.bytes() <= (in_lines ? thresholds.single_pass_bytes_in_lines
                                  : thresholds.single_pass_bytes_in_parts) &&
           walk_fits(x, backward ? 2 : 1);
  }
  // From about there on the one block of threads that has a channel is slower than all of them in
  // two launches, or was, in three: in NCL measured on an H100 with the kernels before these, in
  // NLC simulated. There a block has several channels, more of narrow data. See
  // docs/performance.md.
  const std::int64_t values =
      x.layout == Layout::ncl ? 32768 : 384 * static_cast<std::int64_t>(size_of(x.dtype));
  return x.N <= values && x.L <= values && x.N * x.L <= values;
}

}  // namespace

bool sums_in_double(const Rows& operation, const View& x) noexcept {
  return x.dtype == DType::Float32 && x.memory == nullptr &&
         x.count() <= operation.variants.exact_values;
}

const Kernel* find_kernel_for(const Machine& machine, const Rows& operation, const View& x,
                              bool nontemporal) {
  const auto find = [&](const Rows* form) {
    return form == nullptr ? nullptr : form->find(machine.target, x.layout, element_of(x.dtype));
  };
  const Variants& variants = operation.variants;
  if (const Kernel* kernel = nontemporal ? find(variants.nontemporal) : nullptr) {
    return kernel;
  }
  if (const Kernel* kernel = find(variants.single_pass);
      kernel != nullptr && is_small(machine.thresholds, x, *kernel)) {
    return kernel;
  }
  return find(sums_in_double(operation, x) ? variants.exact : &operation);
}

}  // namespace halnorm::HALNORM_ABI::detail
