#include <string_view>

#include "halnorm/device.h"
#include "halnorm/kernels.h"
#include "kernels/cpu_features.h"
#include "kernels/table.h"

namespace halnorm {

namespace {

/// Whether a target's kernels run on this machine.
bool runs_here(std::string_view target) {
  if (target == "cuda") {
    return is_available(DeviceType::CUDA);
  }
  return target == "opencl" ? is_available(DeviceType::OpenCL) : detail::cpu_runs(target);
}

}  // namespace

std::vector<KernelInfo> kernels() {
  std::vector<KernelInfo> all;
  for (const detail::Kernel& k : detail::all_kernels()) {
    all.push_back(
        {k.name, k.operation_name, k.layout_name, k.element_name, k.target, runs_here(k.target)});
  }
  return all;
}

}  // namespace halnorm
