#pragma once

#include <utility>

#include "functional/arguments/data_view.h"

namespace halnorm::detail {

/// The tensor that kernels write: the caller's `out` where they can, a new one otherwise.
class Output {
 public:
  /// `by_items`: whether the operation takes items one by one.
  Output(const Tensor& out, const Tensor& x, Layout layout, bool by_items)
      : wanted_(out),
        target_(out.defined() && (is_usable_in_place(out, layout) ||
                                  (by_items && is_usable_in_items(out, layout)))
                    ? out
                    : empty_in_layout(x, layout)) {
    count_write(target_);
  }

  [[nodiscard]] const Tensor& target() const noexcept { return target_; }

  /// What the call returns, once the kernel has run.
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

/// What a call on an empty batch returns: `out`, or a new tensor of x's shape.
inline Tensor empty_result(const Tensor& x, const Tensor& out) {
  return out.defined() ? out : empty_in_layout(x, Layout::ncl);
}

}  // namespace halnorm::detail
