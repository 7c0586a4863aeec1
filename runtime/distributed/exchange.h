#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "halnorm/distributed.h"

/// @file
/// Exchanges between the ranks of a placement. `operation` appears in messages.

namespace halnorm::HALNORM_ABI::detail {

/// Gathers the bytes of each rank in `all`, in the order of ranks. A group of one exchanges
/// nothing.
/// @throws CommunicationError that names rank and operation, for any exception of the communicator.
void gather_bytes(const Placement& placement, const std::string& operation, const void* mine,
                  void* all, std::size_t bytes);
void broadcast_bytes(const Placement& placement, const std::string& operation, void* data,
                     std::size_t bytes);

/// The values of all ranks, in the order of ranks; every rank has the same number.
template <class T>
std::vector<T> gather(const Placement& placement, const std::string& operation,
                      std::span<const T> mine) {
  std::vector<T> all(mine.size() * placement.ranks().size());
  gather_bytes(placement, operation, mine.data(), all.data(), mine.size_bytes());
  return all;
}

/// An all-gather that may be pending; the destructor ends it.
class PendingGather {
 public:
  /// False, without a message, if the communicator cannot start one or the group has one rank.
  bool start(const Placement& placement, const std::string& operation, const void* mine, void* all,
             std::size_t bytes);
  /// Nothing if none is pending.
  void wait(const Placement& placement, const std::string& operation);

 private:
  std::unique_ptr<Communicator::Exchange> exchange_;
  std::size_t bytes_ = 0;
};

}  // namespace halnorm::HALNORM_ABI::detail
