#pragma once

#include <cstdint>
#include <memory>

#include "view.h"

namespace halnorm::detail {

/// Float64 values per channel for the time of a call.
class Scratch {
 public:
  explicit Scratch(std::int64_t count)
      : memory_(std::make_unique_for_overwrite<double[]>(static_cast<std::size_t>(count))),
        count_(count) {}

  [[nodiscard]] double* get() const noexcept { return memory_.get(); }
  [[nodiscard]] Channels channels() const noexcept {
    return {memory_.get(), DType::Float64, count_, 1};
  }

 private:
  std::unique_ptr<double[]> memory_;
  std::int64_t count_;
};

}  // namespace halnorm::detail
