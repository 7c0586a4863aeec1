#include "halnorm/nn/hooks.h"

#include "nn/module/hook_list.h"

namespace halnorm::HALNORM_ABI::nn {

void HookHandle::remove() {
  if (const auto store = store_.lock()) {
    store->remove(id_);
  }
  store_.reset();
}

}  // namespace halnorm::HALNORM_ABI::nn
