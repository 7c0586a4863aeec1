#include "fold.h"

#include <algorithm>

#include "strided.h"

namespace halnorm::detail {

namespace {

// Few channels: a row of C values does not fill the vectors that it takes.
constexpr std::int64_t few_channels = 16;
// Columns that few channels are folded into: four vectors and more.
constexpr std::int64_t enough_columns = 64;
// Short rows along L.
constexpr std::int64_t short_row = 16;
// What is done once per column is paid back by this many rows.
constexpr std::int64_t enough_rows = 16;

/// Few channels: as many rows in one as make whole vectors.
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

/// One channel without gaps is as well a long list of rows of one value.
View flat(const View& x) noexcept {
  return x.layout == Layout::ncl && x.C == 1
             ? View{x.data, x.dtype, Layout::nlc, x.N * x.L, 1, 1, 1, 1}
             : x;
}

std::optional<Fold> fold_of(const View& x) noexcept {
  if (x.layout == Layout::nlc || (x.C == 1 && x.L < short_row)) {
    return fold_rows(flat(x));
  }
  if (x.L < short_row && x.N >= enough_rows) {
    return Fold{x.C, 1, x.L};
  }
  return std::nullopt;
}

}  // namespace

View Fold::folded(const View& x) const noexcept {
  if (inner > 1) {
    return {x.data, x.dtype, Layout::nlc, x.N, columns(), 1, x.stride_n, 1};
  }
  const View rows = flat(x);
  return {x.data, x.dtype, Layout::nlc, rows.N / repeat, columns(), 1, rows.stride_n * repeat, 1};
}

View Fold::left_over(const View& x) const noexcept {
  if (inner > 1) {
    return x.rows(x.N, 0);
  }
  const View rows = flat(x);
  return rows.rows(rows.N / repeat * repeat, rows.N % repeat);
}

std::optional<Fold> find_fold(std::initializer_list<const View*> views) noexcept {
  if ((*views.begin())->memory != nullptr) {
    return std::nullopt;
  }
  const std::optional<Fold> fold = fold_of(**views.begin());
  const bool fits = fold && std::all_of(views.begin(), views.end(), [&](const View* v) {
                      return fold->repeat == 1 ? v->planes_are_dense() : v->is_dense();
                    });
  return fits ? fold : std::nullopt;
}

Columns::Columns(const Fold& fold, const Channels& values) : columns_(values) {
  if (values.stride == 0) {
    columns_.count = fold.columns();
    return;
  }
  memory_ = lend_memory(object_bytes(fold.columns(), size_of(values.dtype)));
  columns_ = {memory_.get(), values.dtype, fold.columns(), 1};
  const auto spread = [&]<class T>(T* out) {
    const T* in = static_cast<const T*>(values.data);
    fold.for_each_column([&](std::int64_t c, std::int64_t i) { out[i] = in[c * values.stride]; });
  };
  if (values.dtype == DType::Float64) {
    spread(static_cast<double*>(columns_.data));
  } else {
    spread(static_cast<float*>(columns_.data));
  }
}

void merge_columns(const Fold& fold, double rows, const double* column_mean,
                   const double* column_m2, double* mean, double* m2) {
  // About each channel's first column, so that a large mean takes no digits from the differences.
  const auto first = [&](std::int64_t c) { return column_mean[c * fold.inner]; };
  const auto columns = static_cast<double>(fold.repeat * fold.inner);
  std::fill_n(mean, fold.channels, 0.0);
  fold.for_each_column(
      [&](std::int64_t c, std::int64_t i) { mean[c] += column_mean[i] - first(c); });
  for (std::int64_t c = 0; c < fold.channels; ++c) {
    mean[c] = first(c) + mean[c] / columns;
  }
  std::fill_n(m2, fold.channels, 0.0);
  fold.for_each_column([&](std::int64_t c, std::int64_t i) {
    const double apart = column_mean[i] - mean[c];
    m2[c] += column_m2[i] + rows * apart * apart;
  });
}

void add_columns(const Fold& fold, const double* columns, double* channels) {
  std::fill_n(channels, fold.channels, 0.0);
  fold.for_each_column([&](std::int64_t c, std::int64_t i) { channels[c] += columns[i]; });
}

}  // namespace halnorm::detail
