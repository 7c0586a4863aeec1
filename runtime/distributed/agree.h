#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "halnorm/distributed.h"

/// @file
/// Exchanges between the ranks of a placement. `operation` is for messages.

namespace halnorm::detail {

/// What has to be the same on all ranks, one "name: value" a line.
class Terms {
 public:
  void add(const std::string& name, const std::string& value) {
    text_ += name + ": " + value + '\n';
  }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

/// Runs prepare() on each rank: it checks the rank's own arguments, gets memory, and adds terms.
/// One word of each rank says whether it threw and whether terms differ. If so all ranks throw: the
/// one that failed its own exception, the others one that says who failed or what differs.
/// @throws CommunicationError, or ValueError for terms that differ.
void agree(const Placement& placement, const std::string& operation,
           const std::function<void(Terms&)>& prepare);

/// Bytes of each rank into `all`, in the order of ranks; a group of one exchanges nothing.
/// @throws CommunicationError that names rank and operation, for whatever the communicator throws.
void gather_bytes(const Placement& placement, const std::string& operation, const void* mine,
                  void* all, std::size_t bytes);
void broadcast_bytes(const Placement& placement, const std::string& operation, void* data,
                     std::size_t bytes);

/// Values of each rank one after the other; every rank gives as many.
template <class T>
std::vector<T> gather(const Placement& placement, const std::string& operation,
                      std::span<const T> mine) {
  std::vector<T> all(mine.size() * placement.ranks().size());
  gather_bytes(placement, operation, mine.data(), all.data(), mine.size_bytes());
  return all;
}

}  // namespace halnorm::detail
