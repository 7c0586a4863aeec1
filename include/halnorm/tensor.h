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

#pragma GCC visibility push(default)

namespace halnorm {

class Placement;
class Sbp;

namespace detail {
struct TensorAccess;
}

/// A shared handle on a strided block of elements. Copying a Tensor shares its elements, clone()
/// copies them. A default-constructed Tensor is undefined: the API's "None". The way out to Halide
/// is halnorm/halide.h.
///
/// Every member but defined() throws ValueError when called on an undefined tensor.
/// Different threads may use different handles on the same elements; writes need the caller's own
/// ordering.
///
/// Writes are counted, for Module::backward(): those of the members below, of functions into `out`
/// and running statistics, and of modules. A tensor and its views have one count, as they share
/// memory. Writes through data(), raw_data() and halide_buffer() cannot be seen. Each from_blob()
/// begins a count of its own.
class Tensor {
 public:
  Tensor() noexcept = default;

  /// New contiguous tensors, aligned to 64 bytes; empty() leaves the elements unset.
  /// @throws ShapeError for a negative extent or a size that does not fit in 63 bits,
  ///         DTypeError or DeviceError for a value that is none of the enumeration's,
  ///         DeviceError if the device is not there, MemoryError if the host has too little memory.
  static Tensor empty(Shape shape, DType dtype = DType::Float32, Device device = Device::cpu());
  static Tensor zeros(Shape shape, DType dtype = DType::Float32, Device device = Device::cpu());
  static Tensor ones(Shape shape, DType dtype = DType::Float32, Device device = Device::cpu());
  static Tensor full(Shape shape, double value, DType dtype = DType::Float32,
                     Device device = Device::cpu());

  /// Independent samples of the standard normal distribution; the same seed gives the same
  /// elements on every machine.
  static Tensor randn(Shape shape, std::uint64_t seed, DType dtype = DType::Float32,
                      Device device = Device::cpu());

  /// Views memory that the caller owns and keeps alive; nothing is copied. Strides are in elements,
  /// outermost first like the shape, and may be zero or negative; none means contiguous.
  /// @throws ValueError if data is null while the shape has elements, ShapeError for bad extents
  ///         or a stride count other than the rank.
  static Tensor from_blob(void* data, Shape shape, DType dtype,
                          std::vector<std::int64_t> strides = {});

  /// The same on a device, without a copy: data is a CUdeviceptr of the context that halnorm uses
  /// (see cuda.h), or a cl_mem of the context that it has.
  /// @throws DeviceError also if the device cannot be used.
  static Tensor from_blob(void* data, Shape shape, DType dtype, std::vector<std::int64_t> strides,
                          Device device);

  /// Copies values, in row-major order, into a new contiguous tensor.
  /// T is float, double or std::int64_t. @throws ShapeError if the counts differ.
  template <class T>
  static Tensor from(std::span<const T> values, Shape shape);
  template <class T>
  static Tensor from(const std::vector<T>& values, Shape shape) {
    return from(std::span<const T>(values), std::move(shape));
  }

  [[nodiscard]] bool defined() const noexcept { return impl_ != nullptr; }
  [[nodiscard]] const Shape& shape() const;
  [[nodiscard]] const std::vector<std::int64_t>& strides() const;  ///< in elements, outermost first
  [[nodiscard]] std::int64_t dim() const;                          ///< the rank
  [[nodiscard]] std::int64_t size(std::int64_t axis) const;  ///< axis may count from the end (-1)
  [[nodiscard]] std::int64_t numel() const;
  [[nodiscard]] DType dtype() const;
  [[nodiscard]] Device device() const;
  [[nodiscard]] bool is_contiguous() const;  ///< row-major without gaps

  /// The first element's address. @throws DTypeError if T does not hold this dtype,
  /// DeviceError if the elements are not in host memory.
  template <class T>
  [[nodiscard]] T* data() const;
  /// The same for any dtype, also on a CUDA device. OpenCL has no addresses: there it is a number
  /// that tells one tensor's memory from another's.
  [[nodiscard]] void* raw_data() const;

  /// The only element, converted to T. @throws ShapeError if numel() != 1.
  template <class T>
  [[nodiscard]] T item() const;

  /// All elements in row-major order, converted to T.
  template <class T>
  [[nodiscard]] std::vector<T> to_vector() const;

  /// Copies with another dtype (round to nearest even; a NaN stays a NaN; toward zero for Int64) or
  /// on another device; the same handle if nothing changes. What changes the dtype or the strides
  /// of a tensor on a device goes through the host, and waits for the device.
  [[nodiscard]] Tensor to(DType dtype) const;
  [[nodiscard]] Tensor to(Device device) const;

  [[nodiscard]] Tensor contiguous() const;  ///< this handle if contiguous already, else a copy
  [[nodiscard]] Tensor clone() const;       ///< a contiguous copy

  /// Views that share the elements. Axes may count from the end.
  /// @throws ShapeError for an axis, range or shape that does not fit; reshape() copies where no
  ///         view exists; one extent may be -1.
  [[nodiscard]] Tensor transpose(std::int64_t axis_a, std::int64_t axis_b) const;
  [[nodiscard]] Tensor reshape(Shape shape) const;
  [[nodiscard]] Tensor narrow(std::int64_t axis, std::int64_t start, std::int64_t length) const;

  /// In place; return *this. copy_ converts the dtype, needs the same shape, and is right when the
  /// two tensors overlap. @throws ShapeError.
  Tensor& copy_(const Tensor& source);
  Tensor& fill_(double value);
  Tensor& zero_();

  /// Whether both handles share one object (not merely memory); two undefined ones do not.
  [[nodiscard]] bool is_same(const Tensor& other) const noexcept;
  /// Equal for handles on one object, for use as a key; null if undefined.
  [[nodiscard]] const void* identity() const noexcept { return impl_.get(); }

  /// Makes this object, and so every handle on it, show the elements, shape, dtype and device of
  /// other: how a module converts its tensors while their identity stays.
  void set_data(const Tensor& other);

  /// Global tensors: docs/distributed.md. shape(), dim(), size() and numel() are those of the whole
  /// tensor. Of a split or partial_sum tensor a rank has no whole elements: members that read or
  /// view elements throw ValueError, to_local() gives the rank's part.
  [[nodiscard]] bool is_global() const noexcept;
  /// @throws ValueError if the tensor is local.
  [[nodiscard]] Placement placement() const;
  [[nodiscard]] Sbp sbp() const;

  /// Of a local tensor, whose ranks each give their own part: broadcast takes rank 0's elements,
  /// split(axis) and partial_sum share the elements of this handle. Of a global tensor: the same
  /// elements with another sbp. Collective, see halnorm/distributed.h.
  /// @throws ValueError for an sbp or a placement that is not possible, DeviceError for a device of
  ///         another kind than the placement's; what differs between ranks is an error on all.
  [[nodiscard]] Tensor to_global(const Placement& placement, const Sbp& sbp) const;
  /// Of a global tensor, whose placement stays.
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
  /// empty(), with errors in the name of the function that makes the tensor.
  static Tensor make(const char* function, Shape&& shape, DType dtype, Device device);
  static Tensor make_filled(const char* function, Shape shape, double value, DType dtype,
                            Device device);
  static void require_host(const char* function, const Impl& self);
  [[nodiscard]] Tensor host_room() const;
  [[nodiscard]] Tensor on_host() const;
  void copy_across(const Tensor& source);
  /// Of a tensor whose elements this rank has; any_impl() also of a part of a global one.
  [[nodiscard]] Impl& impl(const char* function) const;
  [[nodiscard]] Impl& any_impl(const char* function) const;

  std::shared_ptr<Impl> impl_;
};

/// A trainable tensor: a shared handle on its data and its gradient.
class Parameter {
 public:
  Parameter() noexcept = default;
  explicit Parameter(Tensor data, bool requires_grad = true);

  [[nodiscard]] bool defined() const noexcept { return impl_ != nullptr; }
  [[nodiscard]] Tensor data() const;  ///< undefined if this parameter is
  [[nodiscard]] Tensor grad() const;  ///< undefined until a backward
  /// @throws ShapeError unless it is shaped like data with no two elements in one place, DTypeError
  ///         unless it is floating point, DeviceError unless it lies where data does.
  void set_grad(Tensor grad) const;
  /// grad += delta; the first is cloned. @throws the same for delta and for the gradient.
  void accumulate_grad(const Tensor& delta) const;
  [[nodiscard]] bool requires_grad() const;
  void set_requires_grad(bool flag) const;
  [[nodiscard]] bool is_same(const Parameter& other) const noexcept { return impl_ == other.impl_; }
  /// Equal for handles on one object, for use as a key; null if undefined.
  [[nodiscard]] const void* identity() const noexcept { return impl_.get(); }

 private:
  struct Impl {
    Tensor data;
    Tensor grad;
    bool requires_grad = true;
  };
  std::shared_ptr<Impl> impl_;
};

}  // namespace halnorm

#pragma GCC visibility pop
