#pragma once

#include <Halide.h>

namespace halnorm {

/// The types of a kernel's buffers: the one place in which a computation depends on the target.
class BufferTypes {
 public:
  BufferTypes(const Halide::Type& dtype, const Halide::Target& target)
      : dtype_(dtype), target_(target) {}

  /// Of x, y, dy and dx. Devices have the bits of 16-bit numbers as integers:
  /// schedule/gpu/half_precision.h.
  [[nodiscard]] Halide::Type data() const {
    return as_bits() ? Halide::Type(Halide::UInt(16)) : dtype_;
  }

  /// Of weight, bias and running statistics.
  [[nodiscard]] Halide::Type parameters() const {
    return dtype_.bits() == 64 ? Halide::Float(64) : Halide::Float(32);
  }

  /// Of dweight and dbias. On CPUs double, which the runtime rounds. On a device the rounding would
  /// take another launch.
  [[nodiscard]] Halide::Type gradients() const {
    return on_device() ? parameters() : Halide::Float(64);
  }

  /// The values of a data buffer.
  [[nodiscard]] Halide::Func values(const Halide::Func& buffer) const;

  /// Values in the type of the output buffer, rounded once, to nearest even; a NaN stays a NaN. A
  /// Func of the same variables.
  [[nodiscard]] Halide::Func stored(const Halide::Func& f) const;

  /// The bytes of which data buffers on devices start at a multiple: the runtime passes only these,
  /// and Halide's widest access has this size.
  [[nodiscard]] int alignment() const { return on_device() ? 16 : 1; }

 private:
  [[nodiscard]] bool on_device() const { return target_.has_gpu_feature(); }
  [[nodiscard]] bool as_bits() const { return dtype_.bits() == 16 && on_device(); }
  [[nodiscard]] bool has_float16() const { return target_.has_feature(Halide::Target::CUDA); }
  /// Whether the CPU has an instruction that rounds to float16.
  [[nodiscard]] bool converts_float16() const {
    return target_.has_feature(Halide::Target::F16C) ||
           target_.has_feature(Halide::Target::ARMFp16);
  }

  Halide::Type dtype_;
  Halide::Target target_;
};

}  // namespace halnorm
