#include <iterator>
#include <vector>

#include "halnorm/kernels.h"
#include "kernels/cpu_features.h"
#include "kernels/table.h"

// This list names all operations: a program that calls kernels() links every kernel.

namespace halnorm {

namespace detail {

namespace {

#define HALNORM_OPERATION(name) &rows::name,
constexpr const Rows* operations[] = {
#include "halnorm_operations.inc"
};
#undef HALNORM_OPERATION

/// Whether a target's kernels run on this machine.
bool runs_here(std::string_view target) {
  if (target == "cuda") {
    return is_available(DeviceType::CUDA);
  }
  return target == "opencl" ? is_available(DeviceType::OpenCL) : cpu_runs(target);
}

}  // namespace

}  // namespace detail

std::vector<KernelInfo> kernels() {
  std::vector<KernelInfo> all;
  for (const detail::Rows* operation : detail::operations) {
    for (const detail::Kernel& k : operation->all()) {
      all.push_back({k.name, k.operation_name, k.layout_name, k.element_name, k.target,
                     detail::runs_here(k.target)});
    }
  }
  return all;
}

}  // namespace halnorm
