#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include "halnorm/kernels.h"
#include "kernels/cpu_features.h"
#include "kernels/table.h"

// This list names all operations: a program that calls kernels() links every kernel.

namespace halnorm::HALNORM_ABI {

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
  // Once per target: under a hypervisor each question to the CPU takes tens of microseconds.
  std::array<bool, detail::target_count> runs{};
  std::transform(std::begin(detail::target_names), std::end(detail::target_names), runs.begin(),
                 detail::runs_here);
  std::vector<KernelInfo> all;
  for (const detail::Rows* operation : detail::operations) {
    for (const detail::Kernel& k : operation->all()) {
      all.push_back({k.name, k.operation_name, k.layout_name, k.element_name, k.target,
                     runs.at(static_cast<std::size_t>(k.target_id))});
    }
  }
  return all;
}

}  // namespace halnorm::HALNORM_ABI
