#pragma once

#include <Halide.h>

#include "algorithm/layout.h"
#include "buffer_types.h"
#include "schedule/checks.h"
#include "schedule/cpu/aligned_output.h"
#include "schedule/cpu/prefetch.h"
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
  Halide::GeneratorParam<int> sum_vectors{"sum_vectors", 0};
  Halide::GeneratorParam<int> sum_rows{"sum_rows", 0};
  Halide::GeneratorParam<int> block_rows{"block_rows", 0};
  Halide::GeneratorParam<int> block_threads{"block_threads", 0};
  Halide::GeneratorParam<int> grid_blocks{"grid_blocks", 0};
  Halide::GeneratorParam<int> unroll{"unroll", 0};
  Halide::GeneratorParam<int> thread_rows{"thread_rows", 0};

  /// The distance of prefetches; see schedule::fetch_ahead().
  Halide::GeneratorParam<int> prefetch_bytes{"prefetch_bytes", schedule::prefetch_bytes};

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
    if (!this->using_autoscheduler()) {
      schedule::require_scheduled(kernel);
    }
    if (!checks) {
      schedule::leave_out_checks(kernel);
    }
    return kernel;
  }

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

  [[nodiscard]] BufferTypes types() const { return {dtype, this->get_target()}; }

  // The roles of buffers, for configure().

  template <class... Buffers>
  void is_data(Buffers&... buffers) const {
    (has(buffers, types().data(), rank()), ...);
  }

  template <class... Buffers>
  void is_parameter(Buffers&... buffers) const {
    (has(buffers, types().parameters(), 1), ...);
  }

  template <class... Buffers>
  void is_gradient(Buffers&... buffers) const {
    (has(buffers, types().gradients(), 1), ...);
  }

  // The computation's view of data, for generate().

  [[nodiscard]] Halide::Func values(const Halide::Func& buffer) const {
    return types().values(buffer);
  }

  /// The Func that writes the values of f. The schedule gets it as `output`.
  [[nodiscard]] Halide::Func laid_out(const Halide::Func& f, const algorithm::Domain& d) {
    const Halide::Func stored = types().stored(f);
    const int length = schedule::line_bytes / stored.type().bytes();
    output =
        nontemporal ? schedule::aligned_output(stored, d, length) : schedule::Output(stored, d);
    return output.f;
  }

  // The extents of buffers, for schedule(). All start at 0 and have x's extents, so that the kernel
  // computes no other bounds.

  template <class X>
  void from_zero(X& x) {
    for (int i = 0; i < rank(); ++i) {
      x.dim(i).set_min(0).set_estimate(0, estimate(i));
    }
    note_strides(x);
  }

  template <class X, class... Buffers>
  void like(const X& x, Buffers&... buffers) {
    (has_extents_of(x, buffers), ...);
  }

  /// The output of data.
  template <class X, class Buffer>
  void written(const X& x, Buffer& b) {
    like(x, b);
    if (nontemporal) {
      b.set_host_alignment(schedule::line_bytes);
      schedule::mask_edges(this->get_pipeline());
    }
  }

  /// Contiguous values per channel.
  template <class X, class... Buffers>
  void per_channel(const X& x, Buffers&... buffers) const {
    (has_channels_of(x, buffers), ...);
  }

  /// Values per channel of any stride; 0 means one value for all channels.
  template <class X, class... Buffers>
  void per_channel_inputs(const X& x, Buffers&... buffers) {
    per_channel(x, buffers...);
    (has_any_stride(buffers), ...);
  }

  /// The last call of a schedule; `order` is the order in which the kernel reads its data.
  void reads(schedule::Reading order) {
    if (nontemporal && schedule::prefetches_gain(this->get_target(), dtype, order)) {
      schedule::fetch_ahead(this->get_pipeline(), order, prefetch_bytes);
    }
  }

  template <class X>
  [[nodiscard]] algorithm::Domain domain(const X& x) const {
    return algorithm::domain_of(x, layout);
  }

  [[nodiscard]] std::unique_ptr<schedule::Schedule> architecture() const {
    if (this->using_autoscheduler()) {
      return schedule::left_to_halide(this->get_target());
    }
    return schedule::make(this->get_target(), tuning(), strides_, warp_shuffle);
  }
  /// `single_pass`: for channels of few values; see schedule::make_single_pass().
  [[nodiscard]] std::unique_ptr<schedule::ReducingSchedule> architecture(bool single_pass) const {
    if (single_pass && !this->using_autoscheduler()) {
      return schedule::make_single_pass(this->get_target(), tuning(), strides_, warp_shuffle);
    }
    return architecture();
  }

  /// `tensors`: those of a term. `always_exact`: without an `_exact` variant. Kernels for data
  /// beyond the caches are never exact, so that their bits do not depend on the address of an
  /// output.
  [[nodiscard]] std::unique_ptr<algorithm::Summation> summation(const algorithm::Domain& d,
                                                                int tensors,
                                                                bool single_pass = false,
                                                                bool always_exact = false) const {
    const Halide::Type data = dtype;
    const bool float32 = data == Halide::Float(32);
    const bool in_double = single_pass || (float32 && (exact || always_exact));
    return architecture(single_pass)
        ->summation(d, {.data = data, .tensors = tensors, .in_double = in_double});
  }

  schedule::Output output;  ///< y or dx

 private:
  [[nodiscard]] schedule::Tuning tuning() const {
    return {.grain_size = grain_size,
            .channel_tile = channel_tile,
            .chunk_elements = chunk_elements,
            .l2_bytes = l2_bytes,
            .sum_vectors = sum_vectors,
            .sum_rows = sum_rows,
            .block_rows = block_rows,
            .block_threads = block_threads,
            .grid_blocks = grid_blocks,
            .unroll = unroll,
            .thread_rows = thread_rows};
  }

  template <class Buffer>
  static void has(Buffer& b, const Halide::Type& type, int dimensions) {
    b.set_type(type);
    b.set_dimensions(dimensions);
  }

  template <class X, class Buffer>
  void has_extents_of(const X& x, Buffer& b) {
    for (int i = 0; i < rank(); ++i) {
      b.dim(i).set_min(0).set_extent(x.dim(i).extent()).set_estimate(0, estimate(i));
    }
    note_strides(b);
  }

  template <class X, class Buffer>
  void has_channels_of(const X& x, Buffer& b) const {
    b.dim(0).set_min(0).set_extent(x.dim(rank() - 2).extent()).set_estimate(0, estimate_c);
  }

  template <class Buffer>
  void has_any_stride(Buffer& b) {
    b.dim(0).set_stride(Halide::Expr());
    strides_.channels.push_back(b.dim(0).stride());
  }

  template <class Buffer>
  void note_strides(Buffer& b) {
    for (int i = 1; i < rank(); ++i) {
      strides_.rows.push_back(b.dim(i).stride());
    }
    if (types().alignment() > 1) {
      b.set_host_alignment(types().alignment());
    }
  }

  schedule::Strides strides_;
};

}  // namespace halnorm
