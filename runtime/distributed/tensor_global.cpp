#include <numeric>
#include <string>
#include <utility>

#include "distributed/agree.h"
#include "distributed/exchange.h"
#include "distributed/redistribute.h"
#include "halnorm/error.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI {

using detail::Distribution;
using detail::TensorAccess;
using detail::Terms;

namespace {

constexpr const char* operation = "Tensor.to_global";

void check_placement(const Tensor& tensor, const Placement& placement) {
  const Placement own = tensor.placement();
  if (own != placement) {
    throw ValueError(
        "Expected all tensors to be on the same placement, but found at least two placements, " +
        own.str() + " and " + placement.str() + "!");
  }
}

/// The terms that are the same on all ranks of local tensors that become one global tensor.
void check_local(const Tensor& local, const Placement& placement, const Sbp& sbp, Terms& terms) {
  if (!local.defined()) {
    throw ValueError(std::string(operation) + ": got an undefined tensor, wanted a defined one");
  }
  detail::check_axis(sbp, local.dim());
  // Integers, the counters of modules, stay on the host.
  if (is_floating(local.dtype()) && local.device().type != placement.device_type()) {
    throw DeviceError(std::string(operation) + ": got a tensor on " + local.device().str() +
                      ", wanted one on the device type of " + placement.str());
  }
  Shape shape = local.shape();
  if (sbp.kind() == Sbp::Kind::Split) {
    shape[static_cast<std::size_t>(sbp.axis())] = 0;  // each rank has its own
  }
  terms.add("sbp", sbp.str());
  terms.add("placement", placement.str());
  terms.add("shape", detail::to_string(shape));
  terms.add("dtype", std::string(name_of(local.dtype())));
}

/// A copy of rank 0's elements.
Tensor from_rank_0(const Tensor& host, const Placement& placement) {
  detail::broadcast_bytes(placement, operation, host.raw_data(),
                          static_cast<std::size_t>(host.numel()) * size_of(host.dtype()));
  return host;
}

}  // namespace

Tensor Tensor::to_local() const {
  if (!any_impl("to_local").distribution) {
    throw ValueError("Expected global tensor for to_local but got local tensor!");
  }
  return TensorAccess::distributed(*this, nullptr);
}

Tensor Tensor::to_global(const Sbp& sbp) const {
  if (!is_global()) {
    throw ValueError(
        "Converting a local tensor to global tensor must have placement and sbp parameters.");
  }
  return to_global(placement(), sbp);
}

Tensor Tensor::to_global(const Placement& placement, const Sbp& sbp) const {
  if (is_global()) {
    check_placement(*this, placement);
    detail::check_axis(sbp, dim());
    if (sbp == impl_->distribution->sbp) {
      return *this;
    }
    return detail::redistributed(*this, detail::balanced(placement, sbp, shape()));
  }
  Distribution how{.placement = placement, .sbp = sbp, .shape = {}, .extents = {}};
  Tensor copy;
  std::int64_t extent = 0;
  detail::agree(placement, operation, [&](Terms& terms) {
    check_local(*this, placement, sbp, terms);
    if (sbp.is_broadcast()) {
      copy = to(Device::cpu()).clone();
    } else if (sbp.kind() == Sbp::Kind::Split) {
      how.shape = shape();
      how.extents.resize(placement.ranks().size());
      extent = size(sbp.axis());
    }
  });
  if (sbp.is_broadcast()) {
    copy = from_rank_0(copy, placement).to(device());
  } else if (sbp.kind() == Sbp::Kind::Split) {
    detail::gather_bytes(placement, operation, &extent, how.extents.data(), sizeof extent);
    how.shape[static_cast<std::size_t>(sbp.axis())] =
        std::accumulate(how.extents.begin(), how.extents.end(), std::int64_t{0});
  }
  return TensorAccess::distributed(copy.defined() ? copy : *this,
                                   std::make_shared<const Distribution>(std::move(how)));
}

}  // namespace halnorm::HALNORM_ABI
