#pragma once

#include <dlpack/dlpack.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "tensor/impl.h"

/// @file
/// The tensors of one call, on memory of the caller. Tensor::from_blob() makes four allocations per
/// tensor, which take as long as the kernel of a small call. These tensors reuse the memory of
/// earlier calls.

namespace halnorm::HALNORM_ABI::c_api {

/// Storage for the tensors of one call. The tensors and all views of them end with it.
class Borrowed {
 public:
  Borrowed();  ///< @throws std::bad_alloc
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  ~Borrowed();

  /// The size of an element, if the next tensor differs from an earlier one in nothing but the
  /// address, so that only this has to be checked; otherwise 0.
  [[nodiscard]] std::size_t known_element_size(const DLTensor& given) const noexcept;

  /// The next tensor, for which known_element_size() is not 0. `data` is the first element.
  Tensor view_again(void* data) noexcept;

  /// Tensor::from_blob() with the same errors, for the host. `data` is the first element.
  Tensor view(const DLTensor& given, void* data, DType dtype);

 private:
  friend class BlockCache;

  struct Place {
    detail::WriteCount writes;
    std::optional<detail::TensorAccess::Fields> fields;
    std::uint32_t known_dtype = 0;  ///< the bits of its DLDataType; 0 for a tensor without elements
    bool has_no_strides = false;    ///< whether these were NULL
  };
  /// The most tensors of a function, and two more.
  struct Block {
    std::array<Place, 12> places;
  };

  Block* block_;
  std::size_t used_ = 0;
};

}  // namespace halnorm::HALNORM_ABI::c_api
