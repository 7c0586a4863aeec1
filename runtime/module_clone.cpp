#include <algorithm>
#include <string>

#include "halnorm/error.h"
#include "halnorm/nn/module.h"

namespace halnorm::nn {

/// One deep copy: each tensor, parameter and module of the original has one copy, however many
/// places it stands in.
class ModuleCloner {
 public:
  std::shared_ptr<Module> clone(const Module& source) {
    for (const auto& [original, copy] : modules_) {
      if (original == &source) {
        return copy;
      }
    }
    const std::shared_ptr<Module> copy = source.new_instance();
    modules_.emplace_back(&source, copy);
    fill(*copy, source);
    return copy;
  }

 private:
  void fill(Module& copy, const Module& source) {
    copy.training_ = source.training_;
    copy_slots(copy.registry_.parameters, source.registry_.parameters);
    copy_slots(copy.registry_.buffers, source.registry_.buffers);
    std::vector<Registry::Child> children;
    for (const Registry::Child& child : source.registry_.children) {
      children.push_back(copy_child(Registry::find(copy.registry_.children, child.name), child));
    }
    copy.registry_.children = std::move(children);
  }

  /// In the source's order. What the constructor of the copy bound to a member stays bound.
  template <class T>
  void copy_slots(std::vector<Registry::Slot<T>>& slots,
                  const std::vector<Registry::Slot<T>>& source) {
    std::vector<Registry::Slot<T>> result;
    for (const auto& slot : source) {
      const auto* made = Registry::find(slots, slot.name);
      Registry::Slot<T> copied{.name = slot.name,
                               .own = {},
                               .member = made != nullptr ? made->member : nullptr,
                               .persistent = slot.persistent};
      copied.assign(copy_of(slot.value()));
      result.push_back(std::move(copied));
    }
    for (auto& slot : slots) {
      if (Registry::find(result, slot.name) == nullptr) {
        slot.assign(T());
      }
    }
    slots = std::move(result);
  }

  Registry::Child copy_child(const Registry::Child* made, const Registry::Child& source) {
    if (source.is_member && made != nullptr && made->is_member) {
      modules_.emplace_back(source.module.get(), made->module);
      fill(*made->module, *source.module);
      return *made;
    }
    return {.name = source.name,
            .module = source.module != nullptr ? clone(*source.module) : nullptr};
  }

  Tensor copy_of(const Tensor& source) {
    if (!source.defined()) {
      return {};
    }
    for (const auto& [original, copy] : tensors_) {
      if (original.is_same(source)) {
        return copy;
      }
    }
    return tensors_.emplace_back(source, source.clone()).second;
  }

  Parameter copy_of(const Parameter& source) {
    if (!source.defined()) {
      return {};
    }
    for (const auto& [original, copy] : parameters_) {
      if (original.is_same(source)) {
        return copy;
      }
    }
    const Parameter copy(copy_of(source.data()), source.requires_grad());
    return parameters_.emplace_back(source, copy).second;
  }

  std::vector<std::pair<const Module*, std::shared_ptr<Module>>> modules_;
  std::vector<std::pair<Tensor, Tensor>> tensors_;
  std::vector<std::pair<Parameter, Parameter>> parameters_;
};

std::shared_ptr<Module> Module::clone() const { return ModuleCloner().clone(*this); }

}  // namespace halnorm::nn
