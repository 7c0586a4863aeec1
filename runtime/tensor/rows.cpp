#include "tensor/rows.h"

#include "base/convert.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI::detail {

Row row_of(const Tensor& values) noexcept {
  const auto& fields = TensorAccess::of(values);
  return {fields.dtype, fields.data, fields.strides.empty() ? 0 : fields.strides[0]};
}

void convert_row(const Row& to, const Row& from, std::int64_t count) noexcept {
  visit_dtype(to.dtype, [&](auto to_element) {
    visit_dtype(from.dtype, [&](auto from_element) {
      using To = decltype(to_element);
      auto* target = static_cast<To*>(to.data);
      const auto* source = static_cast<const decltype(from_element)*>(from.data);
      for (std::int64_t i = 0; i < count; ++i) {
        target[i * to.step] = convert<To>(source[i * from.step]);
      }
    });
  });
}

void add_row(const Row& sum, const Row& delta, std::int64_t count) noexcept {
  visit_dtype(sum.dtype, [&](auto element) {
    using T = decltype(element);
    T* to = static_cast<T*>(sum.data);
    const T* from = static_cast<const T*>(delta.data);
    for (std::int64_t i = 0; i < count; ++i) {
      T& place = to[i * sum.step];
      place = convert<T>(convert<double>(place) + convert<double>(from[i * delta.step]));
    }
  });
}

}  // namespace halnorm::HALNORM_ABI::detail
