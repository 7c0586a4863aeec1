#include "halnorm/mpi.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "distributed/ranks.h"
#include "halnorm/halnorm.h"
#include "support/throws.h"

namespace {

using halnorm::CommunicationError;
using halnorm::DeviceType;
using halnorm::Placement;
using halnorm::Sbp;
using halnorm::Tensor;
using halnorm::ValueError;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

int world_rank() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

std::vector<int> numbers(int first, std::size_t count) {
  std::vector<int> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

TEST(Mpi, MessagesAreCutAndJoined) {
  for (const std::size_t message_bytes : {1U, 10U, 12U, 1U << 20U}) {
    const auto world = halnorm::mpi::communicator(MPI_COMM_WORLD, {.message_bytes = message_bytes});
    const auto mine = numbers(100 * world->rank(), 7);
    std::vector<int> all(7 * static_cast<std::size_t>(world->size()));
    world->all_gather(mine.data(), all.data(), 7 * sizeof(int));
    for (int rank = 0; rank < world->size(); ++rank) {
      const auto begin = all.begin() + std::ptrdiff_t{7} * rank;
      EXPECT_EQ(std::vector<int>(begin, begin + 7), numbers(100 * rank, 7));
    }
    auto data = mine;
    world->broadcast(data.data(), 7 * sizeof(int));
    EXPECT_EQ(data, numbers(0, 7));
  }
}

TEST(Mpi, ArgumentsAreChecked) {
  expect_throws<ValueError>([] { halnorm::mpi::communicator(MPI_COMM_NULL); }, {"MPI_COMM_NULL"});
  expect_throws<ValueError>(
      [] { halnorm::mpi::communicator(MPI_COMM_WORLD, {.timeout = milliseconds(0)}); },
      {"timeout of 0 ms"});
  expect_throws<ValueError>(
      [] { halnorm::mpi::communicator(MPI_COMM_WORLD, {.message_bytes = 0}); },
      {"messages of 0 bytes"});
}

TEST(Mpi, AThreadThatMayNotCallIsRefused) {
  const auto world = halnorm::mpi::communicator(MPI_COMM_WORLD);
  std::string message;
  std::thread([&] {
    int byte = 0;
    message = ranks::message_of([&] { world->broadcast(&byte, 1); });
  }).join();
  EXPECT_NE(message.find("another thread"), std::string::npos) << message;
}

TEST(Mpi, AMissingRankIsAnErrorAfterTheTimeout) {
  const auto world = halnorm::mpi::communicator(MPI_COMM_WORLD, {.timeout = milliseconds(300)});
  const Placement all(world, DeviceType::CPU);
  if (world_rank() != 0) {
    const auto start = Clock::now();
    expect_throws<CommunicationError>(
        [&] { static_cast<void>(Tensor::ones({2}).to_global(all, Sbp::broadcast())); },
        {"Tensor.to_global: all_gather of 8 bytes failed on rank " + std::to_string(world_rank()),
         "MPI_Iallgather: not all ranks came within 300 ms"});
    EXPECT_LT(Clock::now() - start, milliseconds(5000));
    expect_throws<CommunicationError>(
        [&] { static_cast<void>(Tensor::ones({2}).to_global(all, Sbp::broadcast())); },
        {"lost its step, wanted a new one", "300 ms"});
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

TEST(Mpi, SomeRanksAreAPlacementOfTheirOwn) {
  const auto world = halnorm::mpi::communicator(MPI_COMM_WORLD);
  const Placement some(world, DeviceType::CPU, {2, 0});
  const bool takes_part = world_rank() == 0 || world_rank() == 2;
  EXPECT_EQ(some.contains_this_rank(), takes_part);
  if (takes_part) {
    const Tensor own = Tensor::full({2}, world_rank());
    EXPECT_EQ(own.to_global(some, Sbp::broadcast()).to_vector<double>()[0], 2)
        << "the first of the list is its rank 0";
    EXPECT_EQ(ranks::rank(some), world_rank() == 2 ? 0 : 1);
  } else {
    EXPECT_THROW(static_cast<void>(Tensor::ones({2}).to_global(some, Sbp::broadcast())),
                 ValueError);
  }
}

TEST(Mpi, ASplitCommunicatorIsOneOfItsRanks) {
  MPI_Comm half = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, world_rank() % 2, 0, &half);
  {
    const Placement own(halnorm::mpi::communicator(half), DeviceType::CPU);
    MPI_Comm_free(&half);  // ours is a duplicate
    const Tensor value = Tensor::full({1}, world_rank());
    const Tensor sum = value.to_global(own, Sbp::partial_sum()).to_global(Sbp::broadcast());
    EXPECT_EQ(sum.to_vector<double>()[0], world_rank() % 2 == 0 ? 0 + 2 : 1 + 3);
  }
}

}  // namespace
