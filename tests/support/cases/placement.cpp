#include "support/cases/placement.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "support/cases/element.h"

namespace placement {

using halnorm::DType;

namespace {

constexpr std::size_t guard_bytes = 256;
constexpr std::size_t alignment = 64;

/// Fills memory with a NaN whose payload no arithmetic makes.
void fill_with_marks(std::vector<std::byte>& memory, std::size_t size) {
  const auto half = std::uint16_t{0x7fee};
  const auto single = std::uint32_t{0x7fc0beef};
  const auto wide = std::uint64_t{0x7ff800c0ffee0bad};
  const void* mark = size == 2   ? static_cast<const void*>(&half)
                     : size == 4 ? static_cast<const void*>(&single)
                                 : &wide;
  for (std::size_t at = 0; at + size <= memory.size(); at += size) {
    std::memcpy(memory.data() + at, mark, size);
  }
}

}  // namespace

std::vector<Layout> all_layouts() {
  return {Layout::Ncl,
          Layout::Nlc,
          Layout::Nc,
          Layout::Window,
          Layout::ChannelsWindow,
          Layout::Misaligned,
          Layout::Reversed,
          Layout::Spaced,
          Layout::Broadcast};
}

std::string name_of(Layout layout) {
  switch (layout) {
    case Layout::Ncl:
      return "ncl";
    case Layout::Nlc:
      return "nlc";
    case Layout::Nc:
      return "nc";
    case Layout::Window:
      return "window";
    case Layout::ChannelsWindow:
      return "channels_window";
    case Layout::Misaligned:
      return "misaligned";
    case Layout::Reversed:
      return "reversed";
    case Layout::Spaced:
      return "spaced";
    case Layout::Broadcast:
      return "broadcast";
  }
  return "?";
}

Layout for_output(Layout layout) { return layout == Layout::Broadcast ? Layout::Ncl : layout; }

Placed::Placed(Layout layout, const shapes::Extents& extents, DType dtype)
    : layout_(layout), extents_(extents), dtype_(dtype), size_(halnorm::size_of(dtype)) {
  set_strides(layout);
  std::int64_t before = 0;
  std::int64_t after = 0;
  for (const auto& [extent, stride] :
       {std::pair(extents.n, n_stride_), {extents.c, c_stride_}, {extents.l, l_stride_}}) {
    const std::int64_t reach = stride * std::max<std::int64_t>(extent - 1, 0);
    (reach < 0 ? before : after) += reach;
  }
  const auto lead = static_cast<std::size_t>(-before) * size_;
  const auto span = static_cast<std::size_t>(after + 1) * size_;
  memory_.resize(alignment + guard_bytes + lead + span + guard_bytes);
  fill_with_marks(memory_, size_);
  // A vector's memory has the alignment of any scalar, so the step to the next line is whole
  // elements and the marks stay in phase.
  const auto first = std::bit_cast<std::uintptr_t>(memory_.data()) + guard_bytes + lead;
  origin_ = guard_bytes + lead + (alignment - first % alignment) % alignment;
  if (layout == Layout::Misaligned) {
    origin_ += size_;
  }
}

void Placed::set_strides(Layout layout) {
  const auto [n, c, l, reason] = extents_;
  switch (layout) {
    case Layout::Ncl:
    case Layout::Misaligned:
      n_stride_ = c * l, c_stride_ = l, l_stride_ = 1;
      break;
    case Layout::Nlc:
    case Layout::Nc:
      n_stride_ = l * c, c_stride_ = 1, l_stride_ = c;
      break;
    case Layout::Window:
      n_stride_ = (c + 2) * (l + 3), c_stride_ = l + 3, l_stride_ = 1;
      break;
    case Layout::ChannelsWindow:
      n_stride_ = l * (c + 3), c_stride_ = 1, l_stride_ = c + 3;
      break;
    case Layout::Reversed:
      n_stride_ = -c * l, c_stride_ = l, l_stride_ = -1;
      break;
    case Layout::Spaced:
      n_stride_ = c * (2 * l + 1), c_stride_ = 2 * l + 1, l_stride_ = 2;
      break;
    case Layout::Broadcast:
      n_stride_ = 0, c_stride_ = l, l_stride_ = 1;
      break;
  }
}

std::size_t Placed::address(std::int64_t n, std::int64_t c, std::int64_t l) const {
  const std::int64_t offset = n * n_stride_ + c * c_stride_ + l * l_stride_;
  return static_cast<std::size_t>(static_cast<std::int64_t>(origin_) +
                                  offset * static_cast<std::int64_t>(size_));
}

halnorm::Tensor Placed::tensor() {
  void* first = memory_.data() + origin_;
  if (layout_ == Layout::Nc) {
    return halnorm::Tensor::from_blob(first, {extents_.n * extents_.l, extents_.c}, dtype_);
  }
  return halnorm::Tensor::from_blob(first, {extents_.n, extents_.c, extents_.l}, dtype_,
                                    {n_stride_, c_stride_, l_stride_});
}

void Placed::assign(const std::vector<double>& values) {
  std::size_t next = 0;
  for (std::int64_t n = 0; n < extents_.n; ++n) {
    for (std::int64_t c = 0; c < extents_.c; ++c) {
      for (std::int64_t l = 0; l < extents_.l; ++l) {
        element::store(dtype_, values.at(next++), memory_.data() + address(n, c, l));
      }
    }
  }
}

oracle::Batch Placed::batch() const {
  oracle::Batch result{extents_.n, extents_.c, extents_.l, {}};
  result.values.reserve(static_cast<std::size_t>(extents_.numel()));
  for (std::int64_t n = 0; n < extents_.n; ++n) {
    for (std::int64_t c = 0; c < extents_.c; ++c) {
      for (std::int64_t l = 0; l < extents_.l; ++l) {
        result.values.push_back(element::load(dtype_, memory_.data() + address(n, c, l)));
      }
    }
  }
  return result;
}

bool Placed::surroundings_intact() const {
  std::vector<std::byte> expected(memory_.size());
  fill_with_marks(expected, size_);
  for (std::int64_t n = 0; n < extents_.n; ++n) {
    for (std::int64_t c = 0; c < extents_.c; ++c) {
      for (std::int64_t l = 0; l < extents_.l; ++l) {
        const std::size_t at = address(n, c, l);
        std::memcpy(expected.data() + at, memory_.data() + at, size_);
      }
    }
  }
  return expected == memory_;
}

}  // namespace placement
