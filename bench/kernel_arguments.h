#pragma once

#include <HalideRuntime.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "buffers.h"
#include "shapes.h"

namespace halnorm::bench {

/// One buffer argument of a kernel: its memory, and its description for the kernel.
class KernelBuffer {
 public:
  KernelBuffer(const halide_filter_argument_t& argument, const BenchShape& shape);

  void* argument() { return &buffer_; }
  void fill();   ///< with numbers in [-1, 1), or positive ones where the name asks for them
  void spoil();  ///< with NaN
  void append_to(std::vector<double>& values) const;

 private:
  [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(type_.bytes()); }
  void set(std::size_t index, double value);
  [[nodiscard]] double get(std::size_t index) const;

  halide_type_t type_;
  bool positive_;
  std::size_t size_ = 0;
  std::vector<halide_dimension_t> axes_;
  std::unique_ptr<Memory> memory_;
  halide_buffer_t buffer_{};
};

/// The arguments of any kernel, as its metadata describes them.
class KernelArguments {
 public:
  KernelArguments(const halide_filter_metadata_t& metadata, const BenchShape& shape);

  void** argv() { return pointers_.data(); }
  void spoil_outputs();
  [[nodiscard]] std::vector<double> outputs() const;

  /// How far the results of two right kernels may be apart, relative to 1 + the value: they may add
  /// in different orders, and two units in the last place of narrow results are on top.
  [[nodiscard]] double tolerance() const { return tolerance_; }

 private:
  std::vector<void*> pointers_;
  std::vector<std::unique_ptr<double>> scalars_;
  std::vector<std::unique_ptr<KernelBuffer>> buffers_;
  std::vector<KernelBuffer*> outputs_;
  double tolerance_ = 0;
};

}  // namespace halnorm::bench
