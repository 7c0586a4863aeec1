#include "plan/fold.h"

#include <algorithm>

#include "base/strides.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

// A row of fewer channels does not fill the vectors that it needs.
constexpr std::int64_t few_channels = 16;
// Few channels are folded into at least four vectors of columns.
constexpr std::int64_t enough_columns = 64;
// Vectors shorter than a cache line are masked by slow instructions. Rows of partial vectors are
// joined in eights, which fill vectors of any dtype, up to so many channels: the columns of more
// have coefficients beyond the L1 cache. batch_norm_elemt took 0.6 of the time on (8191, 65) and
// 0.5 on (10000, 33), the second half of backward 0.56 on both (AVX2 on a Zen 3, 1 thread).
constexpr std::int64_t whole_vectors = 8;
constexpr std::int64_t most_joined = 128;
// A row of fewer values along L is short.
constexpr std::int64_t short_row = 16;
// A row of fewer bytes has few vectors.
constexpr std::int64_t bytes_of_few_vectors = 1024;
// A group of channels has at least so many columns.
constexpr std::int64_t group_columns = 768;
// Groups start at multiples of so many channels, so that their rows start at cache lines.
constexpr std::int64_t group_step = 16;

/// Joins rows of few channels until they fill whole vectors.
std::optional<Fold> fold_rows(const View& x) noexcept {
  std::int64_t repeat = few_channels;
  while (repeat * x.C < enough_columns) {
    repeat *= 2;
  }
  if (x.C >= few_channels || x.N < repeat * enough_rows) {
    return std::nullopt;
  }
  return Fold{x.C, repeat, 1};
}

/// One channel without gaps can also be viewed as many rows of one value.
View flat(const View& x) noexcept {
  if (x.layout == Layout::nlc || x.C != 1) {
    return x;
  }
  View rows{x.data, x.dtype, Layout::nlc, x.N * x.L, 1, 1, x.zeros != 0 ? 0 : 1, 1};
  rows.zeros = x.zeros;
  return rows;
}

/// Joins rows until they have no partial vector, where masks are slow.
std::optional<Fold> fold_partial_vectors(const Machine& machine, const View& x) noexcept {
  if (x.layout != Layout::nlc || x.C >= most_joined || x.C % whole_vectors == 0 ||
      x.N < whole_vectors * enough_rows) {
    return std::nullopt;
  }
  const Kernel* kernel =
      rows::batch_norm_elemt.find(machine.target, Layout::nlc, element_of(x.dtype));
  return kernel != nullptr && kernel->vector_bytes < line_bytes
             ? std::optional(Fold{x.C, whole_vectors, 1})
             : std::nullopt;
}

bool has_short_rows(const View& x) noexcept { return x.L < short_row && x.N >= enough_rows; }

bool has_many_rows(const Machine& machine, const View& x) noexcept {
  return x.layout == Layout::ncl &&
         x.L * static_cast<std::int64_t>(size_of(x.dtype)) < bytes_of_few_vectors &&
         x.N >= machine.thresholds.many_rows;
}

/// With `by_columns`, rows of NCL become rows of columns.
std::optional<Fold> fold_of(const View& x, bool by_columns) noexcept {
  if (x.layout == Layout::nlc || (x.C == 1 && x.L < short_row)) {
    return fold_rows(flat(x));
  }
  return by_columns ? std::optional(Fold{x.C, 1, x.L}) : std::nullopt;
}

/// The fold, if all of the data can be viewed so.
std::optional<Fold> if_fits(const std::optional<Fold>& fold, const Views& data) noexcept {
  const bool fits = fold && std::all_of(data.begin(), data.end(), [&](const View& v) {
                      return v.zeros != 0        ? v.zeros >= fold->columns()
                             : fold->repeat == 1 ? v.planes_are_dense()
                                                 : v.is_dense();
                    });
  return fits ? fold : std::nullopt;
}

std::optional<Fold> fold_of(const Views& data, bool by_columns) noexcept {
  const View& x = data.x();
  return x.memory == nullptr ? if_fits(fold_of(x, by_columns), data) : std::nullopt;
}

/// Writes each channel's value to all its columns. Neighbouring columns are written as whole short
/// rows: a compiler vectorizes a constant number, and the next channel overwrites the excess.
template <class T>
void spread(const Fold& fold, const T* values, std::int64_t stride, T* columns) {
  for (std::int64_t j = 0; j < fold.repeat; ++j) {
    for (std::int64_t c = 0; c < fold.channels; ++c, columns += fold.inner) {
      if (fold.inner == 1) {
        *columns = values[c * stride];
      } else {
        for (std::int64_t i = 0; i < fold.inner; i += short_row) {
          std::fill_n(columns + i, short_row, values[c * stride]);
        }
      }
    }
  }
}

}  // namespace

View Fold::folded(const View& x) const noexcept {
  View folded = inner > 1 ? x : flat(x);
  folded.layout = Layout::nlc;
  folded.N /= repeat;
  folded.C = columns();
  folded.L = 1;
  folded.stride_n *= repeat;
  folded.stride_c = 1;
  return folded;
}

View Fold::left_over(const View& x) const noexcept {
  if (inner > 1) {
    return x.rows(x.N, 0);
  }
  const View rows = flat(x);
  return rows.rows(rows.N / repeat * repeat, rows.N % repeat);
}

Views Fold::folded(const Views& data) const noexcept {
  return data.each([this](const View& v) { return folded(v); });
}

Views Fold::left_over(const Views& data) const noexcept {
  return data.each([this](const View& v) { return left_over(v); });
}

std::optional<Fold> find_fold(const Machine& machine, const Views& data) noexcept {
  const View& x = data.x();
  const std::optional<Fold> fold = fold_of(data, has_short_rows(x));
  return fold || x.memory != nullptr ? fold : if_fits(fold_partial_vectors(machine, x), data);
}

std::optional<Fold> find_fold_for_sums(const Machine& machine, const Views& data) noexcept {
  const View& x = data.x();
  return fold_of(data, has_short_rows(x) || has_many_rows(machine, x));
}

std::int64_t channels_per_group(const Machine& machine, const Views& data) noexcept {
  const View& x = data.x();
  if (x.layout == Layout::nlc || x.L >= short_row ||
      x.N > machine.thresholds.group_elements / group_columns) {
    return x.C;
  }
  const std::optional<Fold> fold = find_fold(machine, data);
  const std::int64_t groups = fold && fold->inner > 1 ? fold->columns() / group_columns : 0;
  if (groups < 2) {
    return x.C;
  }
  return (x.C + groups * group_step - 1) / (groups * group_step) * group_step;
}

Columns::Columns(const Fold& fold, const Channels& values) : columns_(values) {
  if (values.stride == 0) {
    columns_.count = fold.columns();
    return;
  }
  // spread() writes at most one short row beyond the last channel's columns.
  memory_ = lend_memory(object_bytes(fold.columns() + short_row, size_of(values.dtype)));
  columns_ = {memory_.get(), values.dtype, fold.columns(), 1};
  if (values.dtype == DType::Float64) {
    spread(fold, static_cast<const double*>(values.data), values.stride,
           static_cast<double*>(columns_.data));
  } else {
    spread(fold, static_cast<const float*>(values.data), values.stride,
           static_cast<float*>(columns_.data));
  }
}

void merge_columns(const Fold& fold, double rows, const double* column_mean,
                   const double* column_m2, double* mean, double* m2) {
  const auto columns = static_cast<double>(fold.repeat * fold.inner);
  for (std::int64_t c = 0; c < fold.channels; ++c) {
    // Means are taken relative to the channel's first column: a large mean would cost digits.
    const double first = column_mean[c * fold.inner];
    const double apart_from_first =
        fold.sum_of_columns(c, [&](std::int64_t i) { return column_mean[i] - first; });
    mean[c] = first + apart_from_first / columns;
    m2[c] = fold.sum_of_columns(c, [&](std::int64_t i) {
      const double apart = column_mean[i] - mean[c];
      return column_m2[i] + rows * apart * apart;
    });
  }
}

void add_columns(const Fold& fold, const double* columns, double* channels) {
  for (std::int64_t c = 0; c < fold.channels; ++c) {
    channels[c] = fold.sum_of_columns(c, [&](std::int64_t i) { return columns[i]; });
  }
}

}  // namespace halnorm::HALNORM_ABI::detail
