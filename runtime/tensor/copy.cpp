#include <string>

#include "base/convert.h"
#include "device/memory.h"
#include "halnorm/error.h"
#include "tensor/device_copy.h"
#include "tensor/impl.h"
#include "tensor/overlap.h"
#include "tensor/planned_write.h"

namespace halnorm::HALNORM_ABI {

namespace {

void require_distinct_places(const Tensor& target) {
  for (std::size_t axis = 0; axis < target.shape().size(); ++axis) {
    if (target.strides()[axis] == 0 && target.shape()[axis] > 1) {
      throw ShapeError("Tensor::copy_: got a target of shape " + detail::to_string(target.shape()) +
                       " with strides " + detail::to_string(target.strides()) +
                       ", wanted one with no two elements in one place");
    }
  }
}

}  // namespace

Tensor& Tensor::copy_(const Tensor& source) {
  const Impl& self = impl("copy_");
  const Impl& other = source.impl("copy_");
  if (self.shape != other.shape) {
    throw ShapeError("Tensor::copy_: got a source of shape " + detail::to_string(other.shape) +
                     ", wanted the target's " + detail::to_string(self.shape));
  }
  if (self.numel == 0) {
    return *this;
  }
  require_distinct_places(*this);
  if (self.memory || other.memory) {
    detail::count_write(*this);
    detail::copy_across(*this, source);
  } else if (!detail::may_overlap(*this, source)) {
    detail::PlannedWrite(*this, source).run();
  } else if (self.data != other.data || self.strides != other.strides ||
             self.dtype != other.dtype) {
    detail::PlannedWrite(*this, source.clone()).run();
  }
  return *this;
}

Tensor& Tensor::fill_(double value) {
  const Impl& self = impl("fill_");
  if (self.numel == 0) {
    return *this;
  }
  if (!self.memory) {
    detail::PlannedWrite(*this, value).run();
    return *this;
  }
  detail::count_write(*this);
  if (self.contiguous) {
    self.memory->fill(self.data, self.numel, full({}, value, self.dtype).raw_data());
  } else {
    detail::copy_across(*this, full(self.shape, value, self.dtype));
  }
  return *this;
}

Tensor& Tensor::zero_() {
  static_cast<void>(impl("zero_"));
  return fill_(0.0);
}

Tensor Tensor::clone() const {
  const Impl& self = any_impl("clone");
  if (self.distribution) {
    return detail::from_part(*this, [](const Tensor& part) { return part.clone(); });
  }
  Tensor result = detail::TensorAccess::make("Tensor::clone", self.shape, self.dtype, self.device);
  if (self.memory) {
    result.copy_(*this);
  } else if (self.numel > 0) {
    detail::PlannedWrite(result, *this).run();
  }
  return result;
}

Tensor Tensor::contiguous() const { return any_impl("contiguous").contiguous ? *this : clone(); }

Tensor Tensor::to(DType dtype) const {
  const Impl& self = any_impl("to");
  if (self.dtype == dtype) {
    return *this;
  }
  if (self.distribution) {
    return detail::from_part(*this, [dtype](const Tensor& part) { return part.to(dtype); });
  }
  Tensor result = detail::TensorAccess::make("Tensor::to", self.shape, dtype, self.device);
  result.copy_(*this);
  return result;
}

template <class T>
T Tensor::item() const {
  const Impl& self = impl("item");
  if (self.numel != 1) {
    throw ShapeError("Tensor::item: got a tensor of shape " + detail::to_string(self.shape) +
                     ", wanted one with a single element");
  }
  if (self.memory) {
    return to(Device::cpu()).item<T>();
  }
  return detail::visit_dtype(self.dtype, [&](auto element) {
    return detail::convert<T>(*static_cast<const decltype(element)*>(self.data));
  });
}
template float Tensor::item<float>() const;
template double Tensor::item<double>() const;
template std::int64_t Tensor::item<std::int64_t>() const;

template <class T>
std::vector<T> Tensor::to_vector() const {
  const Impl& self = impl("to_vector");
  std::vector<T> values;
  try {
    values.resize(detail::object_bytes(self.numel, sizeof(T)) / sizeof(T));
  } catch (const std::bad_alloc&) {
    detail::throw_no_memory("Tensor::to_vector", self.shape, sizeof(T));
  }
  from_blob(values.data(), self.shape, DTypeOf<T>::value).copy_(*this);
  return values;
}
template std::vector<float> Tensor::to_vector<float>() const;
template std::vector<double> Tensor::to_vector<double>() const;
template std::vector<std::int64_t> Tensor::to_vector<std::int64_t>() const;

}  // namespace halnorm::HALNORM_ABI
