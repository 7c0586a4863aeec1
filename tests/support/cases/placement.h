#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "halnorm/tensor.h"
#include "support/cases/shapes.h"
#include "support/oracle.h"

/// @file
/// Batches placed in memory in every way a caller may have them.

namespace placement {

enum class Layout : std::uint8_t {
  Ncl,             ///< dense (N, C, L)
  Nlc,             ///< channel-last: a transposed view of a dense (N, L, C)
  Nc,              ///< rank 2: (N * L, C)
  Window,          ///< cut out of a larger (N, C, L), with gaps after rows and channels
  ChannelsWindow,  ///< channel-last, with gaps after each position's channels
  Misaligned,      ///< dense (N, C, L), one element past an aligned address
  Reversed,        ///< negative strides along N and L
  Spaced,          ///< every second element along L
  Broadcast,       ///< stride 0 along N: every row is the same memory
};

std::vector<Layout> all_layouts();
std::string name_of(Layout layout);

/// The layout of an output beside an input of this layout: the elements of a Broadcast share
/// memory, which an output must not.
Layout for_output(Layout layout);

/// A batch in one layout, in memory that starts out as NaN and has a guard on either side.
class Placed {
 public:
  Placed(Layout layout, const shapes::Extents& extents, halnorm::DType dtype);

  /// The view in the layout's strides; the memory stays this object's.
  [[nodiscard]] halnorm::Tensor tensor();

  /// Writes dense (N, C, L) values.
  void assign(const std::vector<double>& values);
  /// Reads them back.
  [[nodiscard]] oracle::Batch batch() const;

  /// Whether all memory around the elements of the view is unchanged.
  [[nodiscard]] bool surroundings_intact() const;

  /// All bytes, for a comparison bit by bit.
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return memory_; }

 private:
  [[nodiscard]] std::size_t address(std::int64_t n, std::int64_t c, std::int64_t l) const;
  void set_strides(Layout layout);

  Layout layout_;
  shapes::Extents extents_;
  halnorm::DType dtype_;
  std::size_t size_;  ///< bytes per element
  std::int64_t n_stride_ = 0;
  std::int64_t c_stride_ = 0;
  std::int64_t l_stride_ = 0;
  std::size_t origin_ = 0;  ///< byte offset of element (0, 0, 0)
  std::vector<std::byte> memory_;
};

}  // namespace placement
