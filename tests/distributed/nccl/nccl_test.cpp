#include "halnorm/nccl.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "distributed/threads.h"
#include "halnorm/halnorm.h"
#include "standin_nccl.h"
#include "support/throws.h"

namespace {

using halnorm::CommunicationError;
using halnorm::ValueError;
using std::chrono::milliseconds;

/// A communicator of one rank.
class Nccl : public testing::Test {
 protected:
  void SetUp() override { standin::device = 0; }
  void TearDown() override { standin::stuck = false; }

  ThreadCommunicator engine{std::make_shared<ThreadCommunicator::Meeting>(1), 0};
  ncclComm comm{&engine};
};

TEST_F(Nccl, ArgumentsAreChecked) {
  expect_throws<ValueError>([] { halnorm::nccl::communicator(nullptr, nullptr); }, {"null comm"});
  expect_throws<ValueError>(
      [&] { halnorm::nccl::communicator(&comm, nullptr, {.timeout = milliseconds(0)}); },
      {"timeout of 0 ms"});
}

TEST_F(Nccl, TheCallersDeviceStaysAndMemoryIsGivenBack) {
  const int before = standin::allocations;
  {
    const auto world = halnorm::nccl::communicator(&comm, nullptr);
    EXPECT_EQ(world->size(), 1);
    for (const std::size_t count : {1U, 100U, 7U}) {
      const std::vector<int> mine(count, 5);
      std::vector<int> all(count);
      world->all_gather(mine.data(), all.data(), count * sizeof(int));
      EXPECT_EQ(all, mine);
      world->broadcast(all.data(), count * sizeof(int));
      EXPECT_EQ(all, mine);
    }
    EXPECT_EQ(standin::device, 0);
    EXPECT_EQ(standin::allocations, before + 1);
  }
  EXPECT_EQ(standin::allocations, before);
}

TEST_F(Nccl, ATimeoutEndsIt) {
  const auto world = halnorm::nccl::communicator(&comm, nullptr, {.timeout = milliseconds(20)});
  int byte = 0;
  standin::stuck = true;
  expect_throws<CommunicationError>([&] { world->all_gather(&byte, &byte, 1); }, {"within 20 ms"});
  standin::stuck = false;
  expect_throws<CommunicationError>([&] { world->all_gather(&byte, &byte, 1); },
                                    {"lost its step, wanted a new one", "within 20 ms"});
  EXPECT_EQ(standin::device, 0);
}

TEST_F(Nccl, AnErrorOfAnotherRankEndsItAtOnce) {
  const auto world = halnorm::nccl::communicator(&comm, nullptr);
  int byte = 0;
  standin::stuck = true;
  comm.async_error = ncclSystemError;
  expect_throws<CommunicationError>([&] { world->all_gather(&byte, &byte, 1); },
                                    {"ncclCommGetAsyncError: unhandled system error"});
}

}  // namespace

namespace ranks {

void run(int count, const Wrap& wrap, const std::function<void(const halnorm::Placement&)>& body) {
  run_threads(
      count,
      [&](const std::shared_ptr<halnorm::Communicator>& own) {
        auto comm = std::make_shared<ncclComm>(own.get());
        const auto made = halnorm::nccl::communicator(comm.get(), nullptr);
        return wrap({made.get(), [own, comm, made](halnorm::Communicator*) {}});
      },
      body);
}

}  // namespace ranks
