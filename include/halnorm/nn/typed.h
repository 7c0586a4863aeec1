#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "halnorm/nn/module.h"

/// @file
/// Members of Module that return the class of the object.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI::nn {

/// A base class between a class and its own base class, by default Module. Members that return
/// *this return a Derived&, and clone() returns a Derived. All layers of the library use it. In
/// your class:
///
///     class Block : public nn::Typed<Block> { ... };
///     auto y = block.eval().to_double()(x);           // Block's operator()
///     std::shared_ptr<Block> copy = block.clone();
///
/// Through a Module& the members of Module are called, which have the same effect.
template <class Derived, class Base = Module>
class Typed : public Base {
 public:
  using Base::Base;

  /// The member of Module of the same name.
  /// @{
  Derived& train(bool mode = true) { return typed(Module::train(mode)); }
  Derived& eval() { return typed(Module::eval()); }
  Derived& requires_grad_(bool flag = true) { return typed(Module::requires_grad_(flag)); }
  Derived& apply(const std::function<void(Module&)>& fn) { return typed(Module::apply(fn)); }

  Derived& to(DType dtype) { return typed(Module::to(dtype)); }
  Derived& to(Device device) { return typed(Module::to(device)); }
  Derived& to(Device device, DType dtype) { return typed(Module::to(device, dtype)); }
  Derived& to(const Tensor& like) { return typed(Module::to(like)); }
  Derived& cpu() { return typed(Module::cpu()); }
  Derived& cuda(int index = 0) { return typed(Module::cuda(index)); }
  Derived& to_float() { return typed(Module::to_float()); }
  Derived& to_double() { return typed(Module::to_double()); }
  Derived& to_half() { return typed(Module::to_half()); }
  Derived& to_bfloat16() { return typed(Module::to_bfloat16()); }
  Derived& apply_to_tensors(const std::function<Tensor(const Tensor&)>& fn) {
    return typed(Module::apply_to_tensors(fn));
  }
  Derived& to_global(const std::optional<Placement>& placement = {},
                     const std::optional<Sbp>& sbp = {}) {
    return typed(Module::to_global(placement, sbp));
  }
  Derived& to_local() { return typed(Module::to_local()); }

  [[nodiscard]] std::shared_ptr<Derived> clone() const {
    return std::static_pointer_cast<Derived>(Module::clone());
  }
  /// @}

 private:
  static Derived& typed(Module& self) { return static_cast<Derived&>(self); }
};

}  // namespace halnorm::HALNORM_ABI::nn

#pragma GCC visibility pop
