#include "halnorm/nn/hooks.h"

namespace halnorm::nn {

void HookHandle::remove() {
  if (const auto store = store_.lock()) {
    store->remove(id_);
  }
  store_.reset();
}

}  // namespace halnorm::nn
