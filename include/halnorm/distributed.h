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
/// Tensor::to_global() and Module::to_global() make them, to_local() returns local ones. Every rank
/// of a placement makes the same calls in the same order. A call that exchanges data first compares
/// the calls of all ranks. If one rank has an error, or the calls differ, every rank throws and
/// nothing has changed.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI {

/// How ranks exchange bytes. halnorm/mpi.h makes one from an MPI communicator; a user can implement
/// one on another engine. Every rank calls the same members in the same order. An exception that a
/// member throws becomes a CommunicationError.
class Communicator {
 public:
  Communicator() = default;
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  [[nodiscard]] virtual int rank() const = 0;  ///< the caller's rank, counted from 0
  [[nodiscard]] virtual int size() const = 0;  ///< the number of ranks

  /// Each rank passes `bytes` bytes in `mine`; `all` receives the bytes of all ranks, in the order
  /// of ranks.
  virtual void all_gather(const void* mine, void* all, std::size_t bytes) = 0;
  /// An all_gather() that was started and may not be done.
  class Exchange {
   public:
    Exchange() = default;
    /// Without a wait() before, waits for the end and ignores errors: nothing reads `mine` or
    /// writes to `all` afterwards.
    virtual ~Exchange() = default;
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    /// Returns when `all` is complete. Called at most once, by the thread that started it.
    virtual void wait() = 0;
  };
  /// Starts an all_gather() of the same arguments and returns before it is done, so that a kernel
  /// can run meanwhile. The caller keeps `mine`, `all` and the communicator until the exchange is
  /// destroyed. Several may have been started; they are waited for in the order of their start, and
  /// no other member that exchanges bytes is called until then. Null, the default, means that the
  /// engine cannot: nothing was sent, and the caller calls all_gather() later.
  virtual std::unique_ptr<Exchange> start_all_gather(const void* mine, void* all,
                                                     std::size_t bytes);
  /// Copies rank 0's bytes to every rank. The default calls all_gather() and keeps rank 0's part.
  virtual void broadcast(void* data, std::size_t bytes);
  /// A communicator of the listed ranks, renumbered in the order of the list. Only these ranks call
  /// it. @throws CommunicationError by default.
  virtual std::shared_ptr<Communicator> subset(const std::vector<int>& ranks);
};

/// The ranks that share a tensor, and the kind of device that holds each rank's part.
class Placement {
 public:
  /// All ranks of the communicator.
  /// @throws ValueError for a null communicator, and for ranks that it does not have or that occur
  ///         twice.
  Placement(std::shared_ptr<Communicator> communicator, DeviceType type);
  /// The listed ranks; calls Communicator::subset() on these ranks.
  Placement(std::shared_ptr<Communicator> communicator, DeviceType type, std::vector<int> ranks);

  /// The kind of device of every rank.
  [[nodiscard]] DeviceType device_type() const noexcept { return type_; }
  /// The ranks, as the communicator numbers them.
  [[nodiscard]] const std::vector<int>& ranks() const noexcept { return ranks_; }
  /// Whether the calling rank is one of them.
  [[nodiscard]] bool contains_this_rank() const noexcept { return group_ != nullptr; }
  /// The communicator of these ranks alone. @throws ValueError if the calling rank is not one.
  [[nodiscard]] Communicator& group() const;
  /// `placement(type="cpu", ranks=[0, 1])`
  [[nodiscard]] std::string str() const;

  /// Equal if both have the same communicator object, type and ranks.
  friend bool operator==(const Placement& a, const Placement& b) noexcept {
    return a.communicator_ == b.communicator_ && a.type_ == b.type_ && a.ranks_ == b.ranks_;
  }

 private:
  std::shared_ptr<Communicator> communicator_;
  std::shared_ptr<Communicator> group_;  ///< null if the calling rank is not one of them
  DeviceType type_;
  std::vector<int> ranks_;
};

/// The part of a tensor that each rank of a placement holds.
class Sbp {
 public:
  /// The three ways to distribute a tensor.
  enum class Kind : std::uint8_t { Broadcast, Split, PartialSum };

  /// Each rank holds all of it.
  static constexpr Sbp broadcast() noexcept { return {Kind::Broadcast, 0}; }
  /// Each rank holds a range of one axis, of any length; the ranges are in the order of ranks.
  static constexpr Sbp split(std::int64_t axis) noexcept { return {Kind::Split, axis}; }
  /// The tensor is the sum of the ranks' tensors.
  static constexpr Sbp partial_sum() noexcept { return {Kind::PartialSum, 0}; }

  [[nodiscard]] constexpr Kind kind() const noexcept { return kind_; }          ///< the way
  [[nodiscard]] constexpr std::int64_t axis() const noexcept { return axis_; }  ///< of a split
  /// Whether each rank holds the whole tensor.
  [[nodiscard]] constexpr bool is_broadcast() const noexcept { return kind_ == Kind::Broadcast; }
  /// "broadcast", "split(axis=0)", "partial_sum"
  [[nodiscard]] std::string str() const;

  /// Equal if kind and axis are equal.
  friend constexpr bool operator==(const Sbp&, const Sbp&) noexcept = default;

 private:
  constexpr Sbp(Kind kind, std::int64_t axis) noexcept : kind_(kind), axis_(axis) {}

  Kind kind_;
  std::int64_t axis_;
};

}  // namespace halnorm::HALNORM_ABI

#pragma GCC visibility pop
