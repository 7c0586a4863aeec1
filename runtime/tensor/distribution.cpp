#include <string>

#include "halnorm/distributed.h"
#include "halnorm/error.h"
#include "tensor/impl.h"

/// @file
/// The placement and sbp of a global tensor, which messages of all rooms above name.

namespace halnorm::HALNORM_ABI {

namespace {

[[noreturn]] void throw_local(const char* member) {
  throw ValueError(std::string("Only global tensors have '") + member +
                   "'. Please use '.device' for local tensors.");
}

}  // namespace

std::string Sbp::str() const {
  switch (kind_) {
    case Kind::Split:
      return "split(axis=" + std::to_string(axis_) + ")";
    case Kind::PartialSum:
      return "partial_sum";
    default:
      return "broadcast";
  }
}

bool Tensor::is_global() const noexcept { return impl_ && impl_->distribution; }

Placement Tensor::placement() const {
  const Impl& self = any_impl("placement");
  if (!self.distribution) {
    throw_local("placement");
  }
  return self.distribution->placement;
}

Sbp Tensor::sbp() const {
  const Impl& self = any_impl("sbp");
  if (!self.distribution) {
    throw_local("sbp");
  }
  return self.distribution->sbp;
}

}  // namespace halnorm::HALNORM_ABI
