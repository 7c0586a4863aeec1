#include "nn/module/erased_modules.h"

namespace halnorm::HALNORM_ABI::nn {

namespace {

thread_local ErasedModules* outermost = nullptr;

}  // namespace

ErasedModules::ErasedModules() noexcept {
  if (outermost == nullptr) {
    outermost = this;
  }
}

ErasedModules::~ErasedModules() {
  if (outermost == this) {
    outermost = nullptr;
  }
}

void ErasedModules::keep(const std::shared_ptr<Module>& module) {
  if (outermost != nullptr && module != nullptr) {
    outermost->kept_.push_back(module);
  }
}

}  // namespace halnorm::HALNORM_ABI::nn
