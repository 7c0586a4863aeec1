#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "halnorm/device.h"

/// @file
/// Tensors and modules that belong to several processes ("ranks"): docs/distributed.md.
///
/// Tensor::to_global() and Module::to_global() make them, to_local() is the way back. Every rank of
/// a placement makes the same calls in the same order. A call that exchanges data first compares
/// what its ranks are about to do: if one of them cannot, or they differ, all of them throw and
/// nothing has changed.

#pragma GCC visibility push(default)

namespace halnorm {

/// How ranks exchange bytes. halnorm/mpi.h makes one of an MPI communicator; a user can implement
/// it on another engine. Every rank calls the same members in the same order. What a member throws
/// becomes a CommunicationError.
class Communicator {
 public:
  Communicator() = default;
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  [[nodiscard]] virtual int rank() const = 0;  ///< of the caller, from 0
  [[nodiscard]] virtual int size() const = 0;  ///< the number of ranks

  /// Each rank gives `bytes` bytes; `all` receives those of every rank, in the order of ranks.
  virtual void all_gather(const void* mine, void* all, std::size_t bytes) = 0;
  /// Rank 0's bytes to every rank. By default a gathering of which rank 0's part is kept.
  virtual void broadcast(void* data, std::size_t bytes);
  /// A communicator of some ranks, renumbered in the order of the list; only they call it. By
  /// default there is none. @throws CommunicationError.
  virtual std::shared_ptr<Communicator> subset(const std::vector<int>& ranks);
};

/// The ranks that share a tensor, and the kind of device that each has its part on.
class Placement {
 public:
  /// All ranks of the communicator.
  /// @throws ValueError for a null communicator, and for ranks that are none of its own or
  /// repeated.
  Placement(std::shared_ptr<Communicator> communicator, DeviceType type);
  /// Some of them: calls Communicator::subset() on these.
  Placement(std::shared_ptr<Communicator> communicator, DeviceType type, std::vector<int> ranks);

  [[nodiscard]] DeviceType device_type() const noexcept { return type_; }
  [[nodiscard]] const std::vector<int>& ranks() const noexcept { return ranks_; }
  /// Whether the calling rank is one of them.
  [[nodiscard]] bool contains_this_rank() const noexcept { return group_ != nullptr; }
  /// Among its ranks alone. @throws ValueError if the calling rank is none of them.
  [[nodiscard]] Communicator& group() const;
  /// `placement(type="cpu", ranks=[0, 1])`
  [[nodiscard]] std::string str() const;

  /// Equal if the communicator is one object, and type and ranks are the same.
  friend bool operator==(const Placement& a, const Placement& b) noexcept {
    return a.communicator_ == b.communicator_ && a.type_ == b.type_ && a.ranks_ == b.ranks_;
  }

 private:
  std::shared_ptr<Communicator> communicator_;
  std::shared_ptr<Communicator> group_;  ///< null if the calling rank is none of them
  DeviceType type_;
  std::vector<int> ranks_;
};

/// What the ranks of a placement hold of a tensor.
class Sbp {
 public:
  enum class Kind : std::uint8_t { Broadcast, Split, PartialSum };

  /// Each rank holds all of it.
  static constexpr Sbp broadcast() noexcept { return {Kind::Broadcast, 0}; }
  /// Each rank holds a range of one axis, of any length; the ranges are in the order of ranks.
  static constexpr Sbp split(std::int64_t axis) noexcept { return {Kind::Split, axis}; }
  /// The tensor is the sum of what the ranks hold.
  static constexpr Sbp partial_sum() noexcept { return {Kind::PartialSum, 0}; }

  [[nodiscard]] constexpr Kind kind() const noexcept { return kind_; }
  [[nodiscard]] constexpr std::int64_t axis() const noexcept { return axis_; }  ///< of a split
  [[nodiscard]] constexpr bool is_broadcast() const noexcept { return kind_ == Kind::Broadcast; }
  /// "broadcast", "split(axis=0)", "partial_sum"
  [[nodiscard]] std::string str() const;

  friend constexpr bool operator==(const Sbp&, const Sbp&) noexcept = default;

 private:
  constexpr Sbp(Kind kind, std::int64_t axis) noexcept : kind_(kind), axis_(axis) {}

  Kind kind_;
  std::int64_t axis_;
};

}  // namespace halnorm

#pragma GCC visibility pop
