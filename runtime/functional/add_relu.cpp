#include "functional/add_relu.h"

#include <array>

#include "tensor/constants.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

/// Zeros on the host, from the start of a cache line on. They are never written.
alignas(line_bytes) std::array<std::byte, 65536> zero_bytes{};

}  // namespace

Addend::Addend(const AddRelu* relu, const Tensor& x, Layout layout) : relu_(relu), values_(x) {
  if (relu == nullptr) {
    return;
  }
  if (relu->addend.defined()) {
    values_ = in_layout_or_items(relu->addend, layout);
    return;
  }
  const View data = view_of(x, layout);  // one channel without gaps is one row
  const std::int64_t row = layout == Layout::ncl ? data.L : data.C;
  const std::int64_t size = static_cast<std::int64_t>(size_of(x.dtype()));
  if (x.device() != Device::cpu() || row * size > std::int64_t{zero_bytes.size()}) {
    zeros_ = zeros(row, x);
  }
}

std::optional<Epilogue> Addend::epilogue(const ViewOf& view, const View& x) const {
  if (relu_ == nullptr) {
    return std::nullopt;
  }
  if (relu_->addend.defined()) {
    return Epilogue{view(values_), relu_->slope};
  }
  View row = x;
  row.stride_n = row.stride_c = row.stride_l = 0;
  if (zeros_.defined()) {
    row.data = static_cast<std::byte*>(zeros_.raw_data());
    row.memory = memory_of(zeros_);
    row.zeros = zeros_.numel();
  } else {
    row.data = zero_bytes.data();
    row.zeros = std::int64_t{zero_bytes.size()} / static_cast<std::int64_t>(size_of(x.dtype));
  }
  return Epilogue{row, relu_->slope};
}

}  // namespace halnorm::HALNORM_ABI::detail
