#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "halnorm/distributed.h"

/// @file
/// Exchanges between the ranks of a placement. `operation` appears in messages.

namespace halnorm::detail {

/// Properties that have to be the same on all ranks, one "name: value" per line.
class Terms {
 public:
  void add(const std::string& name, const std::string& value) {
    text_ += name + ": " + value + '\n';
  }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

/// Runs prepare() on each rank: it checks the rank's own arguments, allocates memory, and adds
/// terms. The ranks exchange one word, which shows whether a rank threw and whether terms differ.
/// If so, all ranks throw: the rank that failed its own exception, the others one that names that
/// rank or the term that differs.
/// @throws CommunicationError, or ValueError for terms that differ.
void agree(const Placement& placement, const std::string& operation,
           const std::function<void(Terms&)>& prepare);

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

}  // namespace halnorm::detail
