#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "halnorm/distributed.h"
#include "halnorm/error.h"

namespace halnorm::HALNORM_ABI {

namespace {

std::string name_of(DeviceType type) {
  std::string name = Device(type, 0).str();
  return name.substr(0, name.find(':'));
}

std::string list(const std::vector<int>& ranks) {
  std::string text;
  for (const int rank : ranks) {
    text += (text.empty() ? "" : ", ") + std::to_string(rank);
  }
  return "[" + text + "]";
}

std::vector<int> all_ranks(const Communicator* communicator) {
  if (communicator == nullptr) {
    throw ValueError("Placement: got a null communicator, wanted one");
  }
  std::vector<int> ranks(static_cast<std::size_t>(communicator->size()));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

void check_ranks(const std::vector<int>& ranks, const std::vector<int>& all) {
  std::vector<int> sorted = ranks;
  std::ranges::sort(sorted);
  const bool distinct = std::ranges::adjacent_find(sorted) == sorted.end();
  if (sorted.empty() || !distinct || !std::ranges::includes(all, sorted)) {
    throw ValueError("Placement: got ranks " + list(ranks) + ", wanted distinct ones of " +
                     list(all));
  }
}

}  // namespace

std::unique_ptr<Communicator::Exchange> Communicator::start_all_gather(const void* /*mine*/,
                                                                       void* /*all*/,
                                                                       std::size_t /*bytes*/) {
  return nullptr;
}

void Communicator::broadcast(void* data, std::size_t bytes) {
  std::vector<std::byte> all(bytes * static_cast<std::size_t>(size()));
  all_gather(data, all.data(), bytes);
  std::copy_n(all.data(), bytes, static_cast<std::byte*>(data));
}

std::shared_ptr<Communicator> Communicator::subset(const std::vector<int>& ranks) {
  throw CommunicationError("Communicator::subset: got ranks " + list(ranks) +
                           ", but this communicator does not implement subsets");
}

Placement::Placement(std::shared_ptr<Communicator> communicator, DeviceType type)
    : communicator_(std::move(communicator)),
      group_(communicator_),
      type_(type),
      ranks_(all_ranks(communicator_.get())) {}

Placement::Placement(std::shared_ptr<Communicator> communicator, DeviceType type,
                     std::vector<int> ranks)
    : communicator_(std::move(communicator)), type_(type), ranks_(std::move(ranks)) {
  const std::vector<int> all = all_ranks(communicator_.get());
  check_ranks(ranks_, all);
  if (ranks_ == all) {
    group_ = communicator_;
  } else if (std::ranges::find(ranks_, communicator_->rank()) != ranks_.end()) {
    group_ = communicator_->subset(ranks_);
  }
}

Communicator& Placement::group() const {
  if (group_ == nullptr) {
    throw ValueError("Placement::group: rank " + std::to_string(communicator_->rank()) +
                     " is none of " + str());
  }
  return *group_;
}

std::string Placement::str() const {
  return "placement(type=\"" + name_of(type_) + "\", ranks=" + list(ranks_) + ")";
}

}  // namespace halnorm::HALNORM_ABI
