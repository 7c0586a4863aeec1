#pragma once

#include <functional>
#include <string>
#include <vector>

#include "halnorm/distributed.h"

/// @file
/// The check before each exchange of a call. `operation` appears in messages.

namespace halnorm::HALNORM_ABI::detail {

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

/// Doubles of each rank that all ranks receive.
class SharedSums {
 public:
  SharedSums() = default;
  virtual ~SharedSums() = default;
  SharedSums(SharedSums&&) = default;
  SharedSums& operator=(SharedSums&&) = default;
  SharedSums(const SharedSums&) = delete;
  SharedSums& operator=(const SharedSums&) = delete;

  /// Writes `mine`, whose length is known since prepare(). Not collective; may throw.
  virtual void compute() = 0;

  std::vector<double> mine;  ///< this rank's
  std::vector<double> all;   ///< those of all ranks, in the order of ranks
};

/// agree(), then the exchange of the sums that prepare() returns. If the communicator can start an
/// exchange, the first sums are computed while the word is exchanged, and the next ones while the
/// sums before them are. A compute() that throws makes all ranks throw, like prepare(): its
/// message, of the same length, says so. No exchange is pending when this function ends.
void agree_and_gather(const Placement& placement, const std::string& operation,
                      const std::function<std::vector<SharedSums*>(Terms&)>& prepare);

}  // namespace halnorm::HALNORM_ABI::detail
