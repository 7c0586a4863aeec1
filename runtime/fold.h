#pragma once

#include <optional>

#include "thread_memory.h"
#include "view.h"

/// @file
/// Rows that are too short for vectors, taken as long rows of columns: (N, C, L) with a short L as
/// N rows of C * L columns, and (N, C) with few channels as N / k rows of k * C columns. A column
/// has values of one channel only; the statistics of a channel are those of its columns, merged.

namespace halnorm::detail {

struct Fold {
  std::int64_t channels;  ///< C
  std::int64_t repeat;    ///< rows of the data in a row of columns
  std::int64_t inner;     ///< neighbouring columns of one channel

  [[nodiscard]] std::int64_t columns() const noexcept { return repeat * channels * inner; }

  /// The whole rows of columns, and the rows of the data that are left.
  [[nodiscard]] View folded(const View& x) const noexcept;
  [[nodiscard]] View left_over(const View& x) const noexcept;

  /// Calls visit(channel, column) for each column, channel by channel.
  template <class Visit>
  void for_each_column(Visit visit) const {
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t j = 0; j < repeat; ++j) {
        const std::int64_t first = (j * channels + c) * inner;
        for (std::int64_t i = first; i < first + inner; ++i) {
          visit(c, i);
        }
      }
    }
  }
};

/// The fold that makes kernels on such data faster, if there is one. All views have one shape.
std::optional<Fold> find_fold(std::initializer_list<const View*> views) noexcept;

/// Values per channel, repeated for each column; Float64, or the dtype of Float32 parameters.
class Columns {
 public:
  Columns(const Fold& fold, const Channels& values);
  [[nodiscard]] Channels get() const noexcept { return columns_; }

 private:
  LentMemory memory_;
  Channels columns_;
};

/// Mean and m2 of each channel from those of its columns, each of `rows` values.
void merge_columns(const Fold& fold, double rows, const double* column_mean,
                   const double* column_m2, double* mean, double* m2);

/// The sum of each channel's columns.
void add_columns(const Fold& fold, const double* columns, double* channels);

}  // namespace halnorm::detail
