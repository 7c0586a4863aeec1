#pragma once

#include <dlpack/dlpack.h>

#include <array>
#include <cstddef>
#include <optional>

#include "tensor/impl.h"

/// @file
/// The tensors of one call, on memory of the caller's. Tensor::from_blob() allocates four times for
/// each tensor, which takes as long as the kernel of a small call; these are made in memory that an
/// earlier call has left.

namespace halnorm::c_api {

/// Places for the tensors of one call. The tensors end with it, and so do all views of them.
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
  /// As many as a function has tensors, and two to spare.
  struct Block {
    std::array<Place, 12> places;
  };

  Block* block_;
  std::size_t used_ = 0;
};

}  // namespace halnorm::c_api
