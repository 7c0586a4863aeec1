#pragma once

#include <optional>

#include "kernels/memory/workspace.h"
#include "plan/machine.h"
#include "plan/view.h"

/// @file
/// A fold views rows that are too short for vectors as long rows of columns. (N, C, L) with a short
/// L becomes N rows of C * L columns, and (N, C) with few channels N / k rows of k * C columns. A
/// column has values of one channel. The statistics of a channel are merged from its columns.

namespace halnorm::HALNORM_ABI::detail {

/// The work per column, or per part of a row, pays off from so many rows on.
constexpr std::int64_t enough_rows = 16;

struct Fold {
  std::int64_t channels;  ///< C
  std::int64_t repeat;    ///< rows of the data in a row of columns
  std::int64_t inner;     ///< neighbouring columns of one channel

  [[nodiscard]] std::int64_t columns() const noexcept { return repeat * channels * inner; }

  /// The whole rows of columns, and the rows of the data that are left.
  [[nodiscard]] View folded(const View& x) const noexcept;
  [[nodiscard]] View left_over(const View& x) const noexcept;
  [[nodiscard]] Views folded(const Views& data) const noexcept;
  [[nodiscard]] Views left_over(const Views& data) const noexcept;

  /// The sum of value(column) over a channel's columns.
  template <class Value>
  [[nodiscard]] double sum_of_columns(std::int64_t channel, Value value) const {
    double sum = 0;
    for (std::int64_t j = 0; j < repeat; ++j) {
      const std::int64_t first = (j * channels + channel) * inner;
      for (std::int64_t i = first; i < first + inner; ++i) {
        sum += value(i);
      }
    }
    return sum;
  }
};

/// The fold that makes kernels without sums on the data faster, if there is one.
std::optional<Fold> find_fold(const Machine& machine, const Views& data) noexcept;

/// The same for sums over the rows of a channel. Many rows of few vectors each are folded too.
std::optional<Fold> find_fold_for_sums(const Machine& machine, const Views& data) noexcept;

/// The number of channels in a group, whose short rows make enough columns; C if there is one
/// group. A thread runs all passes of a call on a group: in the second pass the group is in its own
/// cache, and it waits for no other thread. Training on (64, 512, 7) took 53 us instead of 58 on
/// one thread, and 25 instead of 51 on two (an Intel Xeon).
std::int64_t channels_per_group(const Machine& machine, const Views& data) noexcept;

/// Values per channel, repeated for each column of the channel. They are Float64 or Float32.
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

}  // namespace halnorm::HALNORM_ABI::detail
