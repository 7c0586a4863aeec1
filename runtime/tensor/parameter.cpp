#include <cstddef>
#include <string>

#include "base/strides.h"
#include "halnorm/error.h"
#include "halnorm/tensor.h"
#include "tensor/impl.h"
#include "tensor/overlap.h"
#include "tensor/rows.h"

namespace halnorm::HALNORM_ABI {

namespace {

/// Throws unless the tensor can be a gradient of the data, or be added to one.
void require_gradient(const char* function, const Tensor& got, const Tensor& data) {
  if (!got.defined()) {
    throw ValueError(std::string(function) + ": got an undefined gradient, wanted a defined one");
  }
  if (got.shape() != data.shape()) {
    throw ShapeError(std::string(function) + ": got shape " + detail::to_string(got.shape()) +
                     ", wanted the data's " + detail::to_string(data.shape()));
  }
  if (!is_floating(got.dtype())) {
    throw DTypeError(std::string(function) + ": got a gradient of " +
                     std::string(name_of(got.dtype())) + ", wanted a floating point dtype");
  }
  if (got.device() != data.device()) {
    throw DeviceError(std::string(function) + ": got a gradient on " + got.device().str() +
                      ", wanted the data's " + data.device().str());
  }
}

/// Throws unless the tensor is a gradient that can be added to.
void require_sum(const char* function, const Tensor& got, const Tensor& data) {
  require_gradient(function, got, data);
  if (!detail::elements_apart(got)) {
    throw ShapeError(std::string(function) + ": got a gradient of strides " +
                     detail::to_string(got.strides()) +
                     ", wanted a place of its own for each element");
  }
}

void require_defined(const char* function, const Parameter& parameter) {
  if (!parameter.defined()) {
    throw ValueError(std::string(function) + ": got an undefined parameter, wanted a defined one");
  }
}

void require_differentiable(const char* function, const Tensor& data) {
  if (!is_floating(data.dtype())) {
    throw DTypeError(std::string(function) + ": got requires_grad for " +
                     std::string(name_of(data.dtype())) + ", wanted a floating point dtype");
  }
}

/// sum += delta, both of one floating dtype.
void add(const Tensor& sum, const Tensor& delta) {
  if (sum.numel() == 0) {
    return;
  }
  detail::count_write(sum);
  if (sum.device() != Device::cpu()) {
    const Tensor total = sum.to(Device::cpu());
    add(total, delta.to(Device::cpu()));
    Tensor(sum).copy_(total);
    return;
  }
  auto axes = detail::walk_axes(sum.shape(), sum.strides(), delta.strides());
  const auto size = static_cast<std::int64_t>(size_of(sum.dtype()));
  auto* const to = static_cast<std::byte*>(sum.raw_data());
  auto* const from = static_cast<std::byte*>(delta.raw_data());
  detail::for_each_row(axes, [&](std::int64_t t, std::int64_t s, const detail::Axis& axis) {
    detail::add_row({sum.dtype(), to + t * size, axis.target},
                    {sum.dtype(), from + s * size, axis.source}, axis.extent);
  });
}

}  // namespace

struct Parameter::Impl {
  Tensor data;
  Tensor grad;
  bool requires_grad = true;
};

Parameter::Parameter(Tensor data, bool requires_grad) {
  if (!data.defined()) {
    throw ValueError("Parameter: got an undefined tensor, wanted a defined one");
  }
  if (requires_grad) {
    require_differentiable("Parameter", data);
  }
  impl_ = std::make_shared<Impl>(Impl{std::move(data), Tensor(), requires_grad});
}

Tensor Parameter::data() const { return impl_ ? impl_->data : Tensor(); }

Tensor Parameter::grad() const { return impl_ ? impl_->grad : Tensor(); }

bool Parameter::requires_grad() const { return impl_ && impl_->requires_grad; }

void Parameter::set_grad(Tensor grad) const {
  require_defined("Parameter::set_grad", *this);
  if (grad.defined()) {
    require_sum("Parameter::set_grad", grad, impl_->data);
  }
  impl_->grad = std::move(grad);
}

void Parameter::accumulate_grad(const Tensor& delta) const {
  require_defined("Parameter::accumulate_grad", *this);
  require_gradient("Parameter::accumulate_grad", delta, impl_->data);
  const Tensor& grad = impl_->grad;
  if (grad.defined()) {
    require_sum("Parameter::accumulate_grad", grad, impl_->data);  // set_data() may have changed it
    const Tensor addend = delta.to(grad.dtype());
    const bool overlaps = !addend.is_same(grad) && detail::may_overlap(addend, grad);
    add(grad, overlaps ? addend.clone() : addend);
  } else {
    const Tensor converted = delta.to(impl_->data.dtype());
    impl_->grad = converted.is_same(delta) ? delta.clone() : converted;
  }
}

void Parameter::set_requires_grad(bool flag) const {
  require_defined("Parameter::set_requires_grad", *this);
  if (flag) {
    require_differentiable("Parameter::set_requires_grad", impl_->data);
  }
  impl_->requires_grad = flag;
}

}  // namespace halnorm::HALNORM_ABI
