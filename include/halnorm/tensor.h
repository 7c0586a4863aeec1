#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "halnorm/device.h"
#include "halnorm/dtype.h"
#include "halnorm/shape.h"

/// @file
/// Tensors and parameters.

#pragma GCC visibility push(default)

/// Everything of halnorm.
namespace halnorm::HALNORM_ABI {

class Placement;
class Sbp;

namespace detail {
struct TensorAccess;
}

/// A shared handle on a strided block of elements. Copying a Tensor shares its elements, clone()
/// copies them. A default-constructed Tensor is undefined: the API's "None". halnorm/halide.h makes
/// Halide buffers from tensors.
///
/// On an undefined tensor every member except defined(), is_same(), is_global() and identity()
/// throws ValueError. Threads may use different handles on the same elements; the caller
/// synchronizes writes.
///
/// Every tensor counts its writes, so that Module::backward() can detect a changed input: writes by
/// the members below, by functions into `out` and running statistics, and by modules. A tensor and
/// its views share one count. Writes through data(), raw_data() and halide_buffer() are not
/// counted. Each from_blob() starts a new count.
class Tensor {
 public:
  Tensor() noexcept = default;

  /// New contiguous tensors, aligned to 64 bytes; empty() leaves the elements uninitialized.
  /// @throws ShapeError for a negative extent or a size that does not fit in 63 bits,
  ///         DTypeError or DeviceError for a value that is none of the enumeration's,
  ///         DeviceError if the device is not there, MemoryError if the host has too little memory.
  /// @{
  static Tensor empty(Shape shape, DType dtype = DType::Float32, Device device = Device::cpu());
  static Tensor zeros(Shape shape, DType dtype = DType::Float32, Device device = Device::cpu());
  static Tensor ones(Shape shape, DType dtype = DType::Float32, Device device = Device::cpu());
  static Tensor full(Shape shape, double value, DType dtype = DType::Float32,
                     Device device = Device::cpu());
  /// @}

  /// Independent samples of the standard normal distribution; the same seed gives the same
  /// elements on every machine.
  static Tensor randn(Shape shape, std::uint64_t seed, DType dtype = DType::Float32,
                      Device device = Device::cpu());

  /// A tensor on memory that the caller owns and keeps alive; nothing is copied. Strides are in
  /// elements, outermost first, and may be zero or negative; no strides means contiguous.
  /// @throws ValueError if data is null while the shape has elements, ShapeError for bad extents
  ///         or a stride count other than the rank.
  static Tensor from_blob(void* data, Shape shape, DType dtype,
                          std::vector<std::int64_t> strides = {});

  /// A tensor on device memory that the caller owns; nothing is copied. data is a CUdeviceptr of
  /// the context in use (halnorm/cuda.h), or a cl_mem of halnorm's OpenCL context.
  /// @throws as above, ShapeError for a negative stride, DeviceError if the device cannot be used.
  static Tensor from_blob(void* data, Shape shape, DType dtype, std::vector<std::int64_t> strides,
                          Device device);

  /// Copies values, in row-major order, into a new contiguous tensor.
  /// T is float, double or std::int64_t. @throws ShapeError if the counts differ.
  template <class T>
  static Tensor from(std::span<const T> values, Shape shape);
  /// The same for a vector.
  template <class T>
  static Tensor from(const std::vector<T>& values, Shape shape) {
    return from(std::span<const T>(values), std::move(shape));
  }

  [[nodiscard]] bool defined() const noexcept { return impl_ != nullptr; }  ///< false for "None"
  [[nodiscard]] const Shape& shape() const;                        ///< extents, outermost first
  [[nodiscard]] const std::vector<std::int64_t>& strides() const;  ///< in elements, outermost first
  [[nodiscard]] std::int64_t dim() const;                          ///< the rank
  [[nodiscard]] std::int64_t size(std::int64_t axis) const;  ///< axis may count from the end (-1)
  [[nodiscard]] std::int64_t numel() const;                  ///< the number of elements
  [[nodiscard]] DType dtype() const;                         ///< the type of the elements
  [[nodiscard]] Device device() const;                       ///< the device of the elements
  [[nodiscard]] bool is_contiguous() const;                  ///< row-major without gaps

  /// The first element's address. @throws DTypeError if T does not hold this dtype,
  /// DeviceError if the elements are not in host memory.
  template <class T>
  [[nodiscard]] T* data() const;
  /// The first element's address for any dtype, also on a CUDA device. OpenCL has no addresses: on
  /// an OpenCL device the result is a number that identifies the memory.
  [[nodiscard]] void* raw_data() const;

  /// The only element, converted to T. @throws ShapeError if numel() != 1.
  template <class T>
  [[nodiscard]] T item() const;

  /// All elements in row-major order, converted to T.
  template <class T>
  [[nodiscard]] std::vector<T> to_vector() const;

  /// A copy with another dtype (rounded to nearest even; a NaN stays a NaN; toward zero for Int64)
  /// or on another device; this handle if nothing changes. For a tensor on a device, a change of
  /// dtype or strides copies through the host and waits for the device.
  /// @{
  [[nodiscard]] Tensor to(DType dtype) const;
  [[nodiscard]] Tensor to(Device device) const;
  /// @}

  [[nodiscard]] Tensor contiguous() const;  ///< this handle if contiguous, otherwise a copy
  [[nodiscard]] Tensor clone() const;       ///< a contiguous copy

  /// Views that share the elements. Axes may count from the end. reshape() accepts one extent of
  /// -1, and copies if no view has this shape.
  /// @throws ShapeError for an axis, range or shape that does not fit.
  /// @{
  [[nodiscard]] Tensor transpose(std::int64_t axis_a, std::int64_t axis_b) const;
  [[nodiscard]] Tensor reshape(Shape shape) const;
  [[nodiscard]] Tensor narrow(std::int64_t axis, std::int64_t start, std::int64_t length) const;
  /// @}

  /// Writes in place and returns *this. copy_() converts the dtype, needs the same shape, and
  /// accepts tensors that overlap. @throws ShapeError.
  /// @{
  Tensor& copy_(const Tensor& source);
  Tensor& fill_(double value);
  Tensor& zero_();
  /// @}

  /// Whether both handles refer to one object; sharing memory is not enough. False if undefined.
  [[nodiscard]] bool is_same(const Tensor& other) const noexcept;
  /// The same for all handles on one object, for use as a key; null if undefined.
  [[nodiscard]] const void* identity() const noexcept { return impl_.get(); }

  /// Gives this object, and so every handle on it, the elements, shape, dtype and device of other.
  /// Modules convert their tensors with it, so that handles stay valid.
  void set_data(const Tensor& other);

  /// Whether the tensor is global (docs/distributed.md). shape(), dim(), size() and numel() of a
  /// global tensor are those of the whole tensor. A rank has only a part of a split or partial_sum
  /// tensor: members that read or view elements throw ValueError, to_local() returns the part.
  [[nodiscard]] bool is_global() const noexcept;
  /// The placement and the sbp. @throws ValueError if the tensor is local.
  /// @{
  [[nodiscard]] Placement placement() const;
  [[nodiscard]] Sbp sbp() const;
  /// @}

  /// If this tensor is local: the global tensor whose parts are the ranks' tensors. broadcast
  /// copies rank 0's elements to all ranks; split(axis) and partial_sum share the elements of this
  /// handle. If it is global: the same elements with another sbp. All ranks call this
  /// (halnorm/distributed.h).
  /// @throws ValueError for an sbp or a placement that is not possible; DeviceError for a device of
  ///         another kind than the placement's; on all ranks an error if their arguments differ.
  [[nodiscard]] Tensor to_global(const Placement& placement, const Sbp& sbp) const;
  /// The global tensor with another sbp and the same placement.
  [[nodiscard]] Tensor to_global(const Sbp& sbp) const;
  /// This rank's part, which shares the elements. @throws ValueError if the tensor is local.
  [[nodiscard]] Tensor to_local() const;

  /// The values as PyTorch prints them, shape and dtype, and the device unless it is the CPU:
  /// "tensor([[1., 2.]], shape=(1, 2), dtype=float32)". Of more than 1000 elements the first and
  /// last three along each axis are shown, of a part of a global tensor none. "tensor(undefined)".
  friend std::ostream& operator<<(std::ostream& stream, const Tensor& tensor);

 private:
  struct Impl;
  friend struct detail::TensorAccess;
  explicit Tensor(std::shared_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
  /// Of a tensor whose elements this rank has; any_impl() also of a part of a global one.
  [[nodiscard]] Impl& impl(const char* function) const;
  [[nodiscard]] Impl& any_impl(const char* function) const;

  std::shared_ptr<Impl> impl_;
};

/// A trainable tensor: a shared handle on its data and its gradient.
class Parameter {
 public:
  Parameter() noexcept = default;
  /// A parameter without a gradient.
  explicit Parameter(Tensor data, bool requires_grad = true);

  [[nodiscard]] bool defined() const noexcept { return impl_ != nullptr; }  ///< false for "None"
  [[nodiscard]] Tensor data() const;  ///< undefined if the parameter is
  [[nodiscard]] Tensor grad() const;  ///< undefined until a backward
  /// Replaces the gradient.
  /// @throws ShapeError unless grad has data's shape and no two elements share memory; DTypeError
  ///         unless it is floating point; DeviceError unless it is on data's device.
  void set_grad(Tensor grad) const;
  /// grad += delta; if there is no gradient, it becomes a copy of delta.
  /// @throws as set_grad(), for delta and for the gradient.
  void accumulate_grad(const Tensor& delta) const;
  /// Whether a backward adds to the gradient.
  /// @{
  [[nodiscard]] bool requires_grad() const;
  void set_requires_grad(bool flag) const;
  /// @}
  /// Whether both handles refer to one object.
  [[nodiscard]] bool is_same(const Parameter& other) const noexcept { return impl_ == other.impl_; }
  /// The same for all handles on one object, for use as a key; null if undefined.
  [[nodiscard]] const void* identity() const noexcept { return impl_.get(); }

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace halnorm::HALNORM_ABI

#pragma GCC visibility pop
