#include "distributed/redistribute.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "distributed/agree.h"
#include "distributed/exchange.h"
#include "halnorm/error.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

constexpr const char* operation = "Tensor.to_global";

std::int64_t sum(const std::vector<std::int64_t>& values, std::size_t count) {
  return std::accumulate(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count),
                         std::int64_t{0});
}

/// Parts of a split, of which the longest decides how much each rank sends.
class SplitParts {
 public:
  explicit SplitParts(const Distribution& how)
      : how_(how), axis_(static_cast<std::size_t>(how.sbp.axis())) {}

  /// Of each message.
  [[nodiscard]] Shape longest() const {
    Shape shape = how_.shape;
    shape[axis_] = *std::ranges::max_element(how_.extents);
    return shape;
  }
  /// One rank's part in a message.
  [[nodiscard]] Tensor filled(const Tensor& message, std::size_t rank) const {
    return message.narrow(how_.sbp.axis(), 0, how_.extents[rank]);
  }
  /// The place of one rank's part in the whole tensor.
  [[nodiscard]] Tensor place(const Tensor& whole, std::size_t rank) const {
    return whole.narrow(how_.sbp.axis(), sum(how_.extents, rank), how_.extents[rank]);
  }

 private:
  const Distribution& how_;
  std::size_t axis_;
};

/// The whole tensor on the host, of parts that each rank sent in `stride` bytes.
Tensor joined(const Distribution& how, std::byte* all, std::size_t stride, DType dtype) {
  const SplitParts parts(how);
  const Tensor whole = Tensor::empty(how.shape, dtype);
  for (std::size_t rank = 0; rank < how.extents.size(); ++rank) {
    const Tensor message = Tensor::from_blob(all + rank * stride, parts.longest(), dtype);
    parts.place(whole, rank).copy_(parts.filled(message, rank));
  }
  return whole;
}

template <class T>
void add(const Tensor& total, const Tensor& part) {
  std::transform(total.data<T>(), total.data<T>() + total.numel(), part.data<T>(), total.data<T>(),
                 std::plus<>());
}

/// The sum of whole tensors in the order of ranks, in double, rounded once; integers stay integers.
Tensor summed(const Shape& shape, std::byte* all, std::size_t stride, DType dtype,
              std::size_t ranks) {
  const DType wide = is_floating(dtype) ? DType::Float64 : DType::Int64;
  const Tensor total = Tensor::zeros(shape, wide);
  for (std::size_t rank = 0; rank < ranks && total.numel() > 0; ++rank) {
    const Tensor part = Tensor::from_blob(all + rank * stride, shape, dtype).to(wide);
    wide == DType::Float64 ? add<double>(total, part) : add<std::int64_t>(total, part);
  }
  return total.to(dtype);
}

/// The data that this rank sends: its part, filled up to the length of the longest.
Tensor sent(const Distribution& how, const Tensor& part, std::size_t rank) {
  if (how.sbp.kind() != Sbp::Kind::Split) {
    return part.contiguous();
  }
  const SplitParts parts(how);
  const Tensor message = Tensor::zeros(parts.longest(), part.dtype());
  parts.filled(message, rank).copy_(part);
  return message;
}

std::size_t rank_of(const Placement& placement) {
  return static_cast<std::size_t>(placement.group().rank());
}

/// This rank's part of a tensor that all ranks have.
Tensor part_of(const Tensor& whole, const Distribution& how) {
  const std::size_t rank = rank_of(how.placement);
  switch (how.sbp.kind()) {
    case Sbp::Kind::Split:
      return SplitParts(how).place(whole, rank).clone();
    case Sbp::Kind::PartialSum:
      return rank == 0 ? whole : Tensor::zeros(whole.shape(), whole.dtype(), whole.device());
    default:
      return whole;
  }
}

std::string list(const std::vector<std::int64_t>& values) {
  std::string text;
  for (const std::int64_t value : values) {
    text += (text.empty() ? "" : "+") + std::to_string(value);
  }
  return text;
}

}  // namespace

Tensor redistributed(const Tensor& global, std::shared_ptr<const Distribution> wanted) {
  const Distribution& how = *TensorAccess::of(global).distribution;
  if (is_distributed_alike(how, *wanted)) {
    return global;
  }
  const Tensor part = global.to_local();
  Tensor whole = part;
  Tensor message;
  std::vector<std::byte> all;
  const std::size_t ranks = how.placement.ranks().size();
  std::size_t bytes = 0;
  agree(how.placement, operation, [&](Terms& terms) {
    terms.add("shape", to_string(global.shape()));
    terms.add("dtype", std::string(name_of(global.dtype())));
    terms.add("from", how.sbp.str() + " " + list(how.extents));
    terms.add("to", wanted->sbp.str() + " " + list(wanted->extents));
    if (!how.sbp.is_broadcast()) {
      message = sent(how, part.to(Device::cpu()), rank_of(how.placement));
      bytes = static_cast<std::size_t>(message.numel()) * size_of(message.dtype());
      all.resize(bytes * ranks);
    }
  });
  if (!how.sbp.is_broadcast()) {
    gather_bytes(how.placement, operation, message.raw_data(), all.data(), bytes);
    whole = how.sbp.kind() == Sbp::Kind::Split
                ? joined(how, all.data(), bytes, part.dtype())
                : summed(part.shape(), all.data(), bytes, part.dtype(), ranks);
    whole = whole.to(part.device());
  }
  const Tensor own = part_of(whole, *wanted);
  return TensorAccess::distributed(own, std::move(wanted));
}

std::shared_ptr<const Distribution> balanced(const Placement& placement, const Sbp& sbp,
                                             const Shape& shape) {
  Distribution how{.placement = placement, .sbp = sbp, .shape = {}, .extents = {}};
  if (sbp.kind() == Sbp::Kind::Split) {
    how.shape = shape;
    const auto ranks = static_cast<std::int64_t>(placement.ranks().size());
    const std::int64_t extent = shape[static_cast<std::size_t>(sbp.axis())];
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
      how.extents.push_back(extent / ranks + (rank < extent % ranks ? 1 : 0));
    }
  }
  return std::make_shared<const Distribution>(std::move(how));
}

bool is_distributed_alike(const Distribution& a, const Distribution& b) {
  return a.placement == b.placement && a.sbp == b.sbp && a.extents == b.extents;
}

void check_axis(const Sbp& sbp, std::int64_t rank) {
  if (sbp.kind() == Sbp::Kind::Split && (sbp.axis() < 0 || sbp.axis() >= rank)) {
    throw ValueError(std::string(operation) +
                     ": Split axis out of range (expected to be in range of [0, " +
                     std::to_string(rank) + "), but got " + std::to_string(sbp.axis()) + "!)");
  }
}

}  // namespace halnorm::HALNORM_ABI::detail
