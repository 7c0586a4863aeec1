#pragma once

#include <barrier>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "halnorm/distributed.h"

/// A Communicator whose ranks are threads of one process. On another engine all_gather() is one
/// call, for example gloo::allgather().
class ThreadCommunicator : public halnorm::Communicator {
 public:
  /// The state that the threads share.
  struct Meeting {
    explicit Meeting(int ranks) : gate(ranks), given(static_cast<std::size_t>(ranks)) {}

    std::barrier<> gate;
    std::vector<const void*> given;
  };

  ThreadCommunicator(std::shared_ptr<Meeting> meeting, int rank)
      : meeting_(std::move(meeting)), rank_(rank) {}

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return static_cast<int>(meeting_->given.size()); }

  void all_gather(const void* mine, void* all, std::size_t bytes) override {
    meeting_->given[static_cast<std::size_t>(rank_)] = mine;
    meeting_->gate.arrive_and_wait();
    auto* place = static_cast<std::byte*>(all);
    for (const void* given : meeting_->given) {
      std::memcpy(place, given, bytes);
      place += bytes;
    }
    meeting_->gate.arrive_and_wait();  // nobody's bytes change before all have read them
  }

 private:
  std::shared_ptr<Meeting> meeting_;
  int rank_;
};
