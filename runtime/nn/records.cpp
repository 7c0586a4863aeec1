#include <string>

#include "halnorm/error.h"
#include "halnorm/nn/module.h"
#include "nn/forward_records.h"

namespace halnorm::nn {

std::size_t Module::pending_backwards() const {
  std::size_t count = 0;
  for (const auto& [path, module] : named_modules()) {
    if (detail::SavedForwards* saved = module->saved_forwards()) {
      count += saved->size();
    }
  }
  return count;
}

void Module::clear_saved_forwards() {
  for (Module* module : modules()) {
    if (detail::SavedForwards* saved = module->saved_forwards()) {
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
    if (detail::SavedForwards* saved = module->saved_forwards()) {
      saved->set_capacity(count);
    }
  }
}

}  // namespace halnorm::nn
