#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "distributed/ranks.h"
#include "halnorm/halnorm.h"

/// @file
/// A communicator that starts exchanges, for the tests.

namespace overlapping {

/// The state of a rank's engine, for a test.
struct Trace {
  std::vector<std::size_t> started;  ///< bytes of each exchange that was started
  int pending = 0;
  int most_pending = 0;
  int fail_in_wait = 0;  ///< counted down by each wait; 0 for never
  bool refuses = false;  ///< start_all_gather() returns null
};

/// Starts an exchange on a separate thread, or runs all of it in wait(), the latest moment.
class Overlapping : public halnorm::Communicator {
 public:
  Overlapping(std::shared_ptr<halnorm::Communicator> inner, Trace& trace, bool late)
      : inner_(std::move(inner)), trace_(trace), late_(late) {}

  [[nodiscard]] int rank() const override { return inner_->rank(); }
  [[nodiscard]] int size() const override { return inner_->size(); }
  void all_gather(const void* mine, void* all, std::size_t bytes) override {
    EXPECT_EQ(trace_.pending, 0) << "no other exchange while some are pending";
    inner_->all_gather(mine, all, bytes);
  }
  std::unique_ptr<Exchange> start_all_gather(const void* mine, void* all,
                                             std::size_t bytes) override {
    if (trace_.refuses) {
      return nullptr;
    }
    trace_.started.push_back(bytes);
    ++trace_.pending;
    trace_.most_pending = std::max(trace_.most_pending, trace_.pending);
    // The exchange waits for the previous one, as in an engine.
    last_ = std::async(late_ ? std::launch::deferred : std::launch::async, [this, before = last_,
                                                                            mine, all, bytes] {
              if (before.valid()) {
                before.get();
              }
              inner_->all_gather(mine, all, bytes);
            }).share();
    return std::make_unique<Pending>(trace_, last_);
  }

 private:
  class Pending : public Exchange {
   public:
    Pending(Trace& trace, std::shared_future<void> done) : trace_(trace), done_(std::move(done)) {}
    ~Pending() override {
      done_.wait();
      --trace_.pending;
    }
    Pending(const Pending&) = delete;
    Pending& operator=(const Pending&) = delete;
    void wait() override {
      done_.get();
      if (trace_.fail_in_wait == 0) {
        return;
      }
      --trace_.fail_in_wait;
      if (trace_.fail_in_wait == 0) {
        throw std::runtime_error("the network is down");
      }
    }

   private:
    Trace& trace_;
    std::shared_future<void> done_;
  };

  std::shared_ptr<halnorm::Communicator> inner_;
  Trace& trace_;
  bool late_;
  std::shared_future<void> last_;
};

enum class Engine { Blocking, Early, Late };

/// Calls body(placement, trace of the rank) on `count` ranks.
inline void run(int count, Engine engine,
                const std::function<void(const halnorm::Placement&, Trace&)>& body) {
  std::vector<Trace> traces(static_cast<std::size_t>(count));
  ranks::run(
      count,
      [&](std::shared_ptr<halnorm::Communicator> own) -> std::shared_ptr<halnorm::Communicator> {
        Trace& trace = traces[static_cast<std::size_t>(own->rank())];
        trace.refuses = engine == Engine::Blocking;
        return std::make_shared<Overlapping>(std::move(own), trace, engine == Engine::Late);
      },
      [&](const halnorm::Placement& placement) {
        Trace& trace = traces[static_cast<std::size_t>(ranks::rank(placement))];
        body(placement, trace);
        EXPECT_EQ(trace.pending, 0) << "each exchange has ended";
      });
}

}  // namespace overlapping
