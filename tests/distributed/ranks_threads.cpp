#include "distributed/threads.h"

namespace ranks {

void run(int count, const Wrap& wrap, const std::function<void(const halnorm::Placement&)>& body) {
  run_threads(count, wrap, body);
}

}  // namespace ranks
