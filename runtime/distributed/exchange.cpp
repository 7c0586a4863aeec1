#include "distributed/exchange.h"

#include <cstring>
#include <exception>

#include "halnorm/error.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

/// Within a catch block.
[[noreturn]] void throw_communicator_error(const Placement& placement, const std::string& operation,
                                           const char* member, std::size_t bytes) {
  std::string reason = "an unknown exception";
  try {
    throw;
  } catch (const std::exception& error) {
    reason = error.what();
  } catch (...) {  // NOLINT(bugprone-empty-catch): its type is not known
  }
  throw CommunicationError(operation + ": " + member + " of " + std::to_string(bytes) +
                           " bytes failed on rank " + std::to_string(placement.group().rank()) +
                           " of " + std::to_string(placement.ranks().size()) + ": " + reason);
}

/// Calls a member of the communicator.
template <class Call>
void run(const Placement& placement, const std::string& operation, const char* member,
         std::size_t bytes, Call call) {
  try {
    call();
  } catch (...) {
    throw_communicator_error(placement, operation, member, bytes);
  }
}

/// Whether there is nothing to send, or nobody to send it to.
bool is_alone(const Placement& placement, std::size_t bytes) {
  return bytes == 0 || placement.ranks().size() == 1;
}

}  // namespace

void gather_bytes(const Placement& placement, const std::string& operation, const void* mine,
                  void* all, std::size_t bytes) {
  if (!is_alone(placement, bytes)) {
    run(placement, operation, "all_gather", bytes,
        [&] { placement.group().all_gather(mine, all, bytes); });
  } else if (bytes > 0) {
    std::memcpy(all, mine, bytes);
  }
}

void broadcast_bytes(const Placement& placement, const std::string& operation, void* data,
                     std::size_t bytes) {
  if (!is_alone(placement, bytes)) {
    run(placement, operation, "broadcast", bytes,
        [&] { placement.group().broadcast(data, bytes); });
  }
}

bool PendingGather::start(const Placement& placement, const std::string& operation,
                          const void* mine, void* all, std::size_t bytes) {
  if (!is_alone(placement, bytes)) {
    bytes_ = bytes;
    run(placement, operation, "all_gather", bytes,
        [&] { exchange_ = placement.group().start_all_gather(mine, all, bytes); });
  }
  return exchange_ != nullptr;
}

void PendingGather::wait(const Placement& placement, const std::string& operation) {
  if (exchange_ != nullptr) {
    const auto exchange = std::move(exchange_);
    run(placement, operation, "all_gather", bytes_, [&] { exchange->wait(); });
  }
}

}  // namespace halnorm::HALNORM_ABI::detail
