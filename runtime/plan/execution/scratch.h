#pragma once

#include <cstdint>

#include "base/strides.h"
#include "kernels/memory/workspace.h"
#include "plan/view.h"

namespace halnorm::HALNORM_ABI::detail {

/// Workspace for Float64 values per channel.
class Scratch {
 public:
  explicit Scratch(std::int64_t count)
      : memory_(lend_memory(object_bytes(count, sizeof(double)))), count_(count) {}

  [[nodiscard]] double* get() const noexcept { return static_cast<double*>(memory_.get()); }
  [[nodiscard]] Channels channels() const noexcept {
    return {memory_.get(), DType::Float64, count_, 1};
  }

 private:
  LentMemory memory_;
  std::int64_t count_;
};

}  // namespace halnorm::HALNORM_ABI::detail
