#pragma once

#include <dlpack/dlpack.h>

#include <array>
#include <cstddef>
#include <optional>

#include "tensor/impl.h"

/// @file
/// The tensors of one call, on memory of the caller. Tensor::from_blob() makes four allocations per
/// tensor, which take as long as the kernel of a small call. These tensors reuse the memory of
/// earlier calls.

namespace halnorm::c_api {

/// Storage for the tensors of one call. The tensors and all views of them end with it.
class Borrowed {
 public:
  Borrowed();  ///< @throws std::bad_alloc
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  ~Borrowed();

  /// Tensor::from_blob() with the same errors, for the host. `data` is the first element.
  Tensor view(const DLTensor& given, void* data, DType dtype);

 private:
  friend class SpareBlocks;

  struct Place {
    detail::WriteCount writes;
    std::optional<detail::TensorAccess::Fields> fields;
  };
  /// The most tensors of a function, and two more.
  struct Block {
    std::array<Place, 12> places;
  };

  Block* block_;
  std::size_t used_ = 0;
};

}  // namespace halnorm::c_api
