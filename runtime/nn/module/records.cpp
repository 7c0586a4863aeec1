#include <string>

#include "halnorm/error.h"
#include "nn/batch_norm/forward_records.h"
#include "nn/module/impl.h"

namespace halnorm::HALNORM_ABI::nn {

using detail::ModuleImpl;

ModuleImpl::ModuleImpl(Module& of_module) : module(of_module) {}
ModuleImpl::~ModuleImpl() = default;

std::size_t Module::pending_backwards() const {
  std::size_t count = 0;
  for (const auto& [path, module] : named_modules()) {
    if (const auto& saved = ModuleImpl::of(*module).saved) {
      count += saved->size();
    }
  }
  return count;
}

void Module::clear_saved_forwards() {
  for (Module* module : modules()) {
    if (const auto& saved = ModuleImpl::of(*module).saved) {
      saved->clear();
    }
  }
}

void Module::set_max_saved_forwards(std::size_t count) {
  if (count > detail::SavedForwards::most) {
    throw ValueError(name() + ".set_max_saved_forwards: got " + std::to_string(count) +
                     ", wanted at most " + std::to_string(detail::SavedForwards::most));
  }
  for (Module* module : modules()) {
    if (const auto& saved = ModuleImpl::of(*module).saved) {
      saved->set_capacity(count);
    }
  }
}

}  // namespace halnorm::HALNORM_ABI::nn
