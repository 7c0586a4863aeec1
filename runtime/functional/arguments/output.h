#pragma once

#include <utility>

#include "functional/arguments/data_view.h"

namespace halnorm::HALNORM_ABI::detail {

/// The tensor that kernels write: the caller's `out` if they can use it in place, otherwise a new
/// one.
class Output {
 public:
  /// `by_items`: whether the operation processes items one by one.
  Output(const Tensor& out, const Tensor& x, Layout layout, bool by_items)
      : wanted_(out),
        target_(out.defined() && (is_usable_in_place(out, layout) ||
                                  (by_items && is_usable_in_items(out, layout)))
                    ? out
                    : empty_in_layout(x, layout)) {
    count_write(target_);
  }

  [[nodiscard]] const Tensor& target() const noexcept { return target_; }

  /// The result of the call. To be called after the kernel.
  Tensor finish() {
    if (!wanted_.defined() || wanted_.is_same(target_)) {
      return std::move(target_);
    }
    wanted_.copy_(target_);
    return wanted_;
  }

 private:
  Tensor wanted_, target_;
};

/// The result of a call on an empty batch: `out`, or a new tensor of x's shape.
inline Tensor empty_result(const Tensor& x, const Tensor& out) {
  return out.defined() ? out : empty_in_layout(x, Layout::ncl);
}

}  // namespace halnorm::HALNORM_ABI::detail
