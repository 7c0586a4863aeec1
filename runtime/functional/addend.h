#pragma once

#include "functional/data_view.h"
#include "tensor/constants.h"

namespace halnorm::detail {

/// The addend as a kernel reads it. Without one, a row of zeros that is read again and again: a
/// kernel's innermost stride is 1, the others may be 0.
class Addend {
 public:
  Addend(const Tensor& given, const Tensor& x, Layout layout)
      : values_(given.defined() ? in_layout(given, layout) : Tensor()),
        view_(view_of(given.defined() ? values_ : x, layout)) {
    if (!given.defined()) {
      values_ = zeros(layout == Layout::ncl ? view_.L : view_.C, x);
      view_.data = static_cast<std::byte*>(values_.raw_data());
      view_.stride_n = view_.stride_c = 0;
      view_.memory = memory_of(values_);
    }
  }

  [[nodiscard]] const View& view() const noexcept { return view_; }

 private:
  Tensor values_;
  View view_;
};

}  // namespace halnorm::detail
