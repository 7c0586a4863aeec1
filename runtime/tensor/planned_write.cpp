#include "tensor/planned_write.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/convert.h"
#include "tensor/impl.h"
#include "tensor/narrow_rows.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

template <class To, class From>
void copy_row(To* to, const From* from, const Axis& axis) {
  if (axis.target == 1 && axis.source == 1) {
    if constexpr (std::is_same_v<To, From>) {
      std::memcpy(to, from, static_cast<std::size_t>(axis.extent) * sizeof(To));
    } else if constexpr (requires { convert_row(to, from, axis.extent); }) {
      convert_row(to, from, axis.extent);
    } else {
      std::transform(from, from + axis.extent, to, convert<To, From>);
    }
    return;
  }
  for (std::int64_t i = 0; i < axis.extent; ++i) {
    to[i * axis.target] = convert<To>(from[i * axis.source]);
  }
}

void copy_elements(const Tensor& target, const Tensor& source, std::vector<Axis>& axes) {
  visit_dtype(target.dtype(), [&](auto to_element) {
    visit_dtype(source.dtype(), [&](auto from_element) {
      auto* to = static_cast<decltype(to_element)*>(target.raw_data());
      const auto* from = static_cast<const decltype(from_element)*>(source.raw_data());
      for_each_row(axes, [&](std::int64_t t, std::int64_t s, const Axis& axis) {
        copy_row(to + t, from + s, axis);
      });
    });
  });
}

void fill_elements(const Tensor& target, double value, std::vector<Axis>& axes) {
  visit_dtype(target.dtype(), [&](auto element) {
    using T = decltype(element);
    T* first = static_cast<T*>(target.raw_data());
    const T filling = convert<T>(value);
    for_each_row(axes, [&](std::int64_t start, std::int64_t, const Axis& axis) {
      for (std::int64_t i = 0; i < axis.extent; ++i) {
        first[start + i * axis.target] = filling;
      }
    });
  });
}

}  // namespace

PlannedWrite::PlannedWrite(Tensor target, Tensor source)
    : target_(std::move(target)),
      source_(std::move(source)),
      axes_(walk_axes(target_.shape(), target_.strides(), source_.strides())) {}

PlannedWrite::PlannedWrite(Tensor target, double value)
    : target_(std::move(target)),
      value_(value),
      axes_(walk_axes(target_.shape(), target_.strides(), target_.strides())) {}

void PlannedWrite::run() {
  if (target_.numel() == 0) {
    return;
  }
  const bool copies = source_.defined();
  if (memory_of(target_) != nullptr || memory_of(source_) != nullptr) {
    copies ? target_.copy_(source_) : target_.fill_(value_);
    return;
  }
  count_write(target_);
  if (copies) {
    copy_elements(target_, source_, axes_);
  } else {
    fill_elements(target_, value_, axes_);
  }
}

void run_all(std::vector<PlannedWrite>& writes) {
  for (PlannedWrite& write : writes) {
    write.run();
  }
}

}  // namespace halnorm::HALNORM_ABI::detail
