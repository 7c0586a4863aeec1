#pragma once

#include <Halide.h>

#include "algorithm/aligned_output.h"
#include "algorithm/half_precision.h"
#include "algorithm/layout.h"
#include "schedule/checks.h"
#include "schedule/prefetch.h"
#include "schedule/schedule.h"

namespace halnorm {

/// The base of all kernels: the dtype and layout of the data as parameters, and the checks of
/// buffers. The order of indices is Halide's, innermost first: NCL is x(l, c, n), NLC is x(c, n),
/// in which n counts the N * L rows.
template <class Derived>
class Operation : public Halide::Generator<Derived> {
 public:
  Halide::GeneratorParam<Halide::Type> dtype{"dtype", Halide::Float(32)};
  Halide::GeneratorParam<algorithm::Layout> layout{
      "layout",
      algorithm::Layout::NCL,
      {{"ncl", algorithm::Layout::NCL}, {"nlc", algorithm::Layout::NLC}}};

  /// See schedule::Tuning.
  Halide::GeneratorParam<int> grain_size{"grain_size", 0};
  Halide::GeneratorParam<int> channel_tile{"channel_tile", 0};
  Halide::GeneratorParam<int> chunk_elements{"chunk_elements", 0};
  Halide::GeneratorParam<int> l2_bytes{"l2_bytes", 0};

  /// For data beyond the caches, on x86: the kernel prefetches its inputs and writes its output in
  /// whole cache lines. cmake/nontemporal.cmake makes these stores non-temporal, because Halide 21
  /// has no non-temporal stores.
  Halide::GeneratorParam<bool> nontemporal{"nontemporal", false};

  /// On CPUs: the sums of float32 data are double from the first addition on. For channels of few
  /// values, whose statistics would show the rounding of float32.
  Halide::GeneratorParam<bool> exact{"exact", false};

  /// Whether the kernel checks its buffers, for calls without the runtime.
  Halide::GeneratorParam<bool> checks{"checks", true};

  /// On CUDA: in NCL the partial sums of a warp are added by shuffles, not through shared memory.
  Halide::GeneratorParam<bool> warp_shuffle{"warp_shuffle", true};

 protected:
  Halide::Pipeline build_pipeline() override {
    Halide::Pipeline kernel = Halide::Generator<Derived>::build_pipeline();
    if (!checks) {
      schedule::leave_out_checks(kernel);
    }
    return kernel;
  }

  using Vec = Halide::Buffer<void, 1>;

  // A medium size, for Halide's autoschedulers and for RunGen; kernels accept every size.
  static constexpr int estimate_l = 512, estimate_c = 256, estimate_n = 64;

  [[nodiscard]] int estimate(int dimension) const {
    if (layout == algorithm::Layout::NLC) {
      return dimension == 0 ? estimate_c : estimate_l * estimate_n;
    }
    constexpr int extents[] = {estimate_l, estimate_c, estimate_n};
    return extents[dimension];
  }

  [[nodiscard]] int rank() const { return layout == algorithm::Layout::NCL ? 3 : 2; }

  /// The type of weight, bias and running statistics.
  [[nodiscard]] Halide::Type parameter_type() const {
    const Halide::Type t = dtype;
    return t.bits() == 64 ? Halide::Float(64) : Halide::Float(32);
  }

  /// The type of dweight and dbias. On CPUs double, which the runtime rounds. On a device the
  /// rounding would take another launch.
  [[nodiscard]] Halide::Type gradient_type() const {
    return this->get_target().has_gpu_feature() ? parameter_type() : Halide::Float(64);
  }

  /// The type of the data's buffers.
  [[nodiscard]] Halide::Type data_type() const {
    return as_bits() ? Halide::Type(Halide::UInt(16)) : Halide::Type(dtype);
  }

  template <class Buffer>
  void is_data(Buffer& b) const {
    b.set_type(data_type());
    b.set_dimensions(rank());
  }

  [[nodiscard]] bool on_cuda() const {
    return this->get_target().has_feature(Halide::Target::CUDA);
  }

  /// Whether the buffers have the bits of 16-bit numbers as integers: algorithm/half_precision.h.
  [[nodiscard]] bool as_bits() const {
    const Halide::Type t = dtype;
    return t.bits() == 16 && this->get_target().has_gpu_feature();
  }

  /// The values of a data buffer.
  [[nodiscard]] Halide::Func values(const Halide::Func& b) const {
    if (!as_bits()) {
      return b;
    }
    Halide::Func f("values");
    f(Halide::_) = algorithm::from_bits(dtype, b(Halide::_), on_cuda());
    return f;
  }

  /// Values of the data's type in the type of the output buffer: a Func of the same variables.
  [[nodiscard]] Halide::Func stored(const Halide::Func& f) const {
    if (!as_bits()) {
      return f;
    }
    Halide::Func bits(f.name() + "_bits");
    bits(f.args()) = algorithm::to_bits(dtype, f(f.args()), on_cuda());
    return bits;
  }

  template <class Buffer>
  void is_parameter(Buffer& b) const {
    b.set_type(parameter_type());
    b.set_dimensions(1);
  }

  template <class Buffer>
  void is_gradient(Buffer& b) const {
    b.set_type(gradient_type());
    b.set_dimensions(1);
  }

  /// Buffers start at 0 and have x's extents, so that the kernel computes no other bounds.
  template <class Buffer, class X>
  void like(Buffer& b, const X& x) {
    for (int i = 0; i < rank(); ++i) {
      b.dim(i).set_min(0).set_extent(x.dim(i).extent()).set_estimate(0, estimate(i));
    }
    note_strides(b);
  }

  /// The Func that writes the data. `cache_lines` is set if it writes whole cache lines.
  [[nodiscard]] Halide::Func laid_out(const Halide::Func& f, Halide::RDom& cache_lines,
                                      const algorithm::Domain& d) const {
    if (!nontemporal) {
      return stored(f);
    }
    const Halide::Type data = dtype;
    const algorithm::AlignedOutput aligned =
        algorithm::aligned_output(f, d, schedule::line_bytes / data.bytes());
    cache_lines = aligned.r;
    return aligned.y;
  }

  /// A buffer with x's extents that the kernel writes.
  template <class Buffer, class X>
  void written(Buffer& b, const X& x) {
    like(b, x);
    if (nontemporal) {
      b.set_host_alignment(schedule::line_bytes);
    }
  }

  template <class X>
  void from_zero(X& x) {
    for (int i = 0; i < rank(); ++i) {
      x.dim(i).set_min(0).set_estimate(0, estimate(i));
    }
    note_strides(x);
  }

  /// One value per channel; inputs may have any stride (0 means one value for all channels).
  template <class Buffer, class X>
  void per_channel(Buffer& b, const X& x) const {
    b.dim(0).set_min(0).set_extent(x.dim(rank() - 2).extent()).set_estimate(0, estimate_c);
  }
  template <class Buffer, class X>
  void per_channel_input(Buffer& b, const X& x) {
    per_channel(b, x);
    b.dim(0).set_stride(Halide::Expr());
    strides_.channels.push_back(b.dim(0).stride());
  }

  /// The last call of a schedule; `order` is the order in which the kernel reads its data.
  void reads(schedule::Reading reading) {
    if (nontemporal) {
      schedule::fetch_ahead(this->get_pipeline(), reading);
    }
  }

  template <class X>
  [[nodiscard]] algorithm::Domain domain(const X& x) const {
    return algorithm::domain_of(x, layout);
  }
  /// `single_pass`: for channels of few values; see schedule::make_single_pass().
  [[nodiscard]] std::unique_ptr<schedule::Schedule> architecture(bool single_pass = false) const {
    if (this->using_autoscheduler()) {
      return schedule::left_to_halide(this->get_target());
    }
    if (single_pass) {
      return schedule::make_single_pass(this->get_target(), strides_, warp_shuffle);
    }
    return schedule::make(this->get_target(),
                          {.grain_size = grain_size,
                           .channel_tile = channel_tile,
                           .chunk_elements = chunk_elements,
                           .l2_bytes = l2_bytes},
                          strides_, warp_shuffle);
  }
  /// Fused operations are always exact. Kernels for data beyond the caches are never exact, so that
  /// their bits do not depend on the address of an output.
  [[nodiscard]] algorithm::BlockSizes block_sizes(bool single_pass = false,
                                                  bool always_exact = false) const {
    const Halide::Type data = dtype;
    const bool float32 = data == Halide::Float(32);
    const bool in_double = single_pass || (float32 && (exact || always_exact));
    return architecture(single_pass)->block_sizes(layout, data, in_double);
  }

  template <class Buffer>
  void note_strides(Buffer& b) {
    for (int i = 1; i < rank(); ++i) {
      strides_.rows.push_back(b.dim(i).stride());
    }
    // The runtime passes only such buffers, and Halide's widest access has this size.
    if (this->get_target().has_gpu_feature()) {
      b.set_host_alignment(16);
    }
  }

 private:
  schedule::Strides strides_;
};

}  // namespace halnorm
