#include "functional/add_relu.h"

#include <array>

#include "functional/arguments/check.h"
#include "tensor/constants.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

/// Zeros on the host, from the start of a cache line on. They are never written.
alignas(line_bytes) std::array<std::byte, 65536> zero_bytes{};

}  // namespace

void check_relu(const char* function, const Tensor& x, const std::optional<AddRelu>& relu) {
  if (relu) {
    if (relu->addend.defined()) {
      check_like(function, "addend", relu->addend, x);
    }
    check_slope(function, relu->slope);
  }
}

EpilogueView::EpilogueView(const std::optional<AddRelu>& relu, const DataOperands& data,
                           const Tensor& x) {
  if (!relu) {
    return;
  }
  if (relu->addend.defined()) {
    epilogue_ = Epilogue{data.input(1), relu->slope};
    return;
  }
  View row = data.input(0);  // one channel without gaps is one row
  row.stride_n = row.stride_c = row.stride_l = 0;
  const std::int64_t length = row.layout == Layout::ncl ? row.L : row.C;
  const auto size = static_cast<std::int64_t>(size_of(row.dtype));
  if (row.memory != nullptr || length * size > std::int64_t{zero_bytes.size()}) {
    zeros_ = zeros(length, x);
    row.data = static_cast<std::byte*>(zeros_.raw_data());
    row.memory = memory_of(zeros_);
    row.zeros = zeros_.numel();
  } else {
    row.data = zero_bytes.data();
    row.zeros = std::int64_t{zero_bytes.size()} / size;
  }
  epilogue_ = Epilogue{row, relu->slope};
}

}  // namespace halnorm::HALNORM_ABI::detail
