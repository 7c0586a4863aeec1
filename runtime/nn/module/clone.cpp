#include <string>
#include <typeinfo>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "halnorm/error.h"
#include "nn/module/class_name.h"
#include "nn/module/impl.h"
#include "nn/module/tree.h"

namespace halnorm::HALNORM_ABI::nn {

using detail::ModuleImpl;

namespace {

/// One deep copy: each tensor, parameter and module of the source has one counterpart, however many
/// places it stands in. Counterparts that new_instance() made come first, so that members of a
/// class which hold them are filled; the others are made as they are met.
class ModuleCloner {
 public:
  explicit ModuleCloner(const Module& source) { ModuleTree::walk(source, "", SourceReader(*this)); }

  std::shared_ptr<Module> clone(const Module& source) {
    std::shared_ptr<Module> copy = counterpart(source);
    std::size_t filled = 0;
    while (filled < pairs_.size()) {  // fill() adds to them
      const Pair pair = pairs_[filled++];
      fill(*pair.copy, *pair.source);
    }
    return copy;
  }

 private:
  struct Pair {
    const Module* source;
    std::shared_ptr<Module> copy;
  };

  /// Notes what belongs to the source, for new_instance() may hand it on.
  class SourceReader : public ModuleTree::Visitor {
   public:
    explicit SourceReader(ModuleCloner& cloner) : taken_(cloner.taken_) {}

    bool enter(const ModuleTree::Place<const Module>& place) {
      if (!taken_.insert(&place.module).second) {
        return false;
      }
      for (const auto& slot : ModuleImpl::of(place.module).registry.parameters) {
        taken_.insert(slot.value().identity());
        taken_.insert(slot.value().data().identity());
      }
      for (const auto& slot : ModuleImpl::of(place.module).registry.buffers) {
        taken_.insert(slot.value().identity());
      }
      return true;
    }

   private:
    std::unordered_set<const void*>& taken_;
  };

  std::shared_ptr<Module> counterpart(const Module& source) {
    if (const auto known = modules_.find(&source); known != modules_.end()) {
      return known->second;
    }
    std::shared_ptr<Module> made = ModuleImpl::of(source).new_instance();
    const auto throw_made = [&source](const std::string& got) {
      const std::string name = full_class_name(typeid(source));
      throw Error(source.name() + ".clone: got " + got + " from new_instance(), wanted a new " +
                  name + ": override new_instance() in " + name);
    };
    if (made == nullptr) {
      throw_made("null");
    }
    if (const Module& module = *made; typeid(module) != typeid(source)) {
      throw_made("a " + full_class_name(typeid(module)));
    }
    if (taken_.contains(made.get())) {
      throw_made("a module that is in use");
    }
    pair(source, made);
    return made;
  }

  /// Pairs a module with its copy, and all below that have the same name and class in both.
  void pair(const Module& source, const std::shared_ptr<Module>& copy) {
    std::size_t next = pairs_.size();
    pair_one(source, copy);
    for (; next < pairs_.size(); ++next) {
      const Pair above = pairs_[next];
      for (const Registry::Child& child : ModuleImpl::of(*above.source).registry.children) {
        const auto* made = ModuleImpl::of(*above.copy).registry.children.find(child.name);
        if (child.module == nullptr || made == nullptr || made->module == nullptr) {
          continue;
        }
        const Module& one = *child.module;
        const Module& other = *made->module;
        if (typeid(one) == typeid(other) && !modules_.contains(&one) && !taken_.contains(&other)) {
          pair_one(one, made->module);
        }
      }
    }
  }

  void pair_one(const Module& source, const std::shared_ptr<Module>& copy) {
    pairs_.push_back({&source, copy});
    modules_.emplace(&source, copy);
    taken_.insert(copy.get());
    const Registry& from = ModuleImpl::of(source).registry;
    const Registry& to = ModuleImpl::of(*copy).registry;
    for (const auto& slot : from.parameters) {
      if (const auto* made = to.parameters.find(slot.name)) {
        pair_values(slot.value(), made->value());
      }
    }
    for (const auto& slot : from.buffers) {
      if (const auto* made = to.buffers.find(slot.name)) {
        pair_values(slot.value(), made->value());
      }
    }
  }

  void pair_values(const Tensor& source, Tensor made) {
    if (!source.defined() || !made.defined() || tensors_.contains(source.identity()) ||
        !taken_.insert(made.identity()).second) {
      return;
    }
    made.set_data(source.clone());
    tensors_.emplace(source.identity(), made);
  }

  void pair_values(const Parameter& source, const Parameter& made) {
    if (!source.defined() || !made.defined() || parameters_.contains(source.identity()) ||
        !taken_.insert(made.identity()).second) {
      return;
    }
    pair_values(source.data(), made.data());
    if (copy_of(source.data()).is_same(made.data())) {
      made.set_requires_grad(source.requires_grad());
      parameters_.emplace(source.identity(), made);
    }
  }

  Tensor copy_of(const Tensor& source) {
    if (!source.defined()) {
      return {};
    }
    const auto known = tensors_.find(source.identity());
    return known != tensors_.end()
               ? known->second
               : tensors_.emplace(source.identity(), source.clone()).first->second;
  }

  Parameter copy_of(const Parameter& source) {
    if (!source.defined()) {
      return {};
    }
    const auto known = parameters_.find(source.identity());
    if (known != parameters_.end()) {
      return known->second;
    }
    const Parameter copy(copy_of(source.data()), source.requires_grad());
    return parameters_.emplace(source.identity(), copy).first->second;
  }

  void fill(Module& copy, const Module& source) {
    ModuleImpl& to = ModuleImpl::of(copy);
    const ModuleImpl& from = ModuleImpl::of(source);
    to.training = from.training;
    to.placement = from.placement;
    to.copy_settings(source);
    fill_slots(to.registry.parameters, from.registry.parameters);
    fill_slots(to.registry.buffers, from.registry.buffers);
    fill_children(to, from.registry);
  }

  /// In the source's order. What is bound to a member of the copy stays bound.
  template <class T>
  void fill_slots(NamedEntries<Registry::Slot<T>>& slots,
                  const NamedEntries<Registry::Slot<T>>& source) {
    NamedEntries<Registry::Slot<T>> filled;
    for (const auto& slot : source) {
      const auto* made = slots.find(slot.name);
      Registry::Slot<T> copied{.name = slot.name,
                               .own = {},
                               .member = made != nullptr ? made->member : nullptr,
                               .persistent = slot.persistent};
      if (copied.member != nullptr || slot.listed()) {
        copied.assign(copy_of(slot.value()));
        copied.erased = slot.erased;
        filled.add(std::move(copied));
      }
    }
    for (auto& slot : slots) {
      if (slot.member != nullptr && filled.find(slot.name) == nullptr) {
        slot.assign(T());
        slot.erased = true;
        filled.add(std::move(slot));
      }
    }
    slots = std::move(filled);
  }

  void fill_children(ModuleImpl& copy, const Registry& source) {
    Registry& registry = copy.registry;
    const NamedEntries<Registry::Child> made = std::exchange(registry.children, {});
    registry.child_modules = 0;
    for (const Registry::Child& child : source.children) {
      const auto* old = made.find(child.name);
      Module* const member = old != nullptr ? old->member : nullptr;
      if (member != nullptr || child.listed()) {
        copy.put_child(child.name, child.module ? counterpart(*child.module) : nullptr, member);
        registry.children.find(child.name)->erased = child.erased;
      }
    }
    for (const Registry::Child& child : made) {
      if (child.member != nullptr && registry.children.find(child.name) == nullptr) {
        copy.put_child(child.name, nullptr, child.member);
        registry.children.find(child.name)->erased = true;
      }
    }
  }

  std::vector<Pair> pairs_;
  std::unordered_map<const Module*, std::shared_ptr<Module>> modules_;
  std::unordered_map<const void*, Tensor> tensors_;
  std::unordered_map<const void*, Parameter> parameters_;
  /// Whatever is no free object of the copy: all of the source, and what has a counterpart.
  std::unordered_set<const void*> taken_ = {nullptr};
};

}  // namespace

std::shared_ptr<Module> Module::clone() const { return ModuleCloner(*this).clone(*this); }

}  // namespace halnorm::HALNORM_ABI::nn
