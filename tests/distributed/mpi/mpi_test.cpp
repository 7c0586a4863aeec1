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

const halnorm::mpi::Options overlapping{.timeout = milliseconds(300), .overlap = true};

TEST(Mpi, StartedExchangesAreOrdinaryOnes) {
  const auto world = halnorm::mpi::communicator(MPI_COMM_WORLD, overlapping);
  const auto size = static_cast<std::size_t>(world->size());
  const std::vector<std::vector<int>> mine = {numbers(10 * world->rank(), 3),
                                              numbers(20 * world->rank(), 1000)};
  std::vector<int> first(3 * size);
  std::vector<int> second(1000 * size);
  const auto one = world->start_all_gather(mine[0].data(), first.data(), 3 * sizeof(int));
  const auto two = world->start_all_gather(mine[1].data(), second.data(), 1000 * sizeof(int));
  one->wait();
  two->wait();
  for (int rank = 0; rank < world->size(); ++rank) {
    EXPECT_EQ(first[3 * static_cast<std::size_t>(rank)], 10 * rank);
    EXPECT_EQ(second[1000 * static_cast<std::size_t>(rank) + 999], 20 * rank + 999);
  }
}

TEST(Mpi, AnExchangeThatNobodyWaitsForIsEnded) {
  const auto world = halnorm::mpi::communicator(MPI_COMM_WORLD, overlapping);
  const int mine = world->rank();
  std::vector<int> all(static_cast<std::size_t>(world->size()));
  static_cast<void>(world->start_all_gather(&mine, all.data(), sizeof mine));
  world->all_gather(&mine, all.data(), sizeof mine);
  EXPECT_EQ(all, numbers(0, all.size()));
}

TEST(Mpi, OverlapIsAnOption) {
  const auto world = halnorm::mpi::communicator(MPI_COMM_WORLD);
  EXPECT_EQ(world->start_all_gather(nullptr, nullptr, 1), nullptr);
  const auto small =
      halnorm::mpi::communicator(MPI_COMM_WORLD, {.message_bytes = 2, .overlap = true});
  EXPECT_EQ(small->start_all_gather(nullptr, nullptr, 3), nullptr) << "longer than a message";
}

TEST(Mpi, AMissingRankEndsAllThatIsPending) {
  const auto world = halnorm::mpi::communicator(MPI_COMM_WORLD, overlapping);
  if (world_rank() != 0) {
    const int mine = 0;
    std::vector<int> all(static_cast<std::size_t>(world->size()));
    const auto start = Clock::now();
    const auto one = world->start_all_gather(&mine, all.data(), sizeof mine);
    const auto two = world->start_all_gather(&mine, all.data(), sizeof mine);
    const auto dropped = world->start_all_gather(&mine, all.data(), sizeof mine);
    expect_throws<CommunicationError>([&] { one->wait(); }, {"not all ranks came within 300 ms"});
    expect_throws<CommunicationError>([&] { two->wait(); }, {"lost its step", "300 ms"});
    EXPECT_LT(Clock::now() - start, milliseconds(5000)) << "the time is waited for once";
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

/// y, dx and running variance of a training step of two layers.
std::vector<double> step_of_two(const halnorm::mpi::Options& options, bool together) {
  const Placement all(halnorm::mpi::communicator(MPI_COMM_WORLD, options), DeviceType::CPU);
  std::vector<double> values;
  halnorm::nn::BatchNorm1d first(5);
  halnorm::nn::FusedBatchNorm1d second(300);
  std::vector<halnorm::nn::BatchNorm*> layers = {&first, &second};
  std::vector<Tensor> dy;
  for (auto* layer : layers) {
    layer->to_global(all, Sbp::broadcast());
    const auto seed = static_cast<std::uint64_t>(world_rank());
    const halnorm::Shape shape = {7 + world_rank(), layer->num_features()};
    dy.push_back(ranks::normal(shape, seed).to_global(all, Sbp::split(0)));
    const Tensor y = (*layer)(ranks::normal(shape, 50 + seed, 3).to_global(all, Sbp::split(0)));
    const auto more = y.to_local().to_vector<double>();
    values.insert(values.end(), more.begin(), more.end());
  }
  std::vector<Tensor> results;
  if (together) {
    for (const auto& gradients : halnorm::nn::backward_together(layers, dy)) {
      results.push_back(gradients.dx.to_local());
    }
  } else {
    results = {first.backward(dy[0]).to_local(), second.backward(dy[1]).to_local()};
  }
  results.insert(results.end(), {first.running_var, second.weight.grad(), second.bias.grad()});
  for (const Tensor& result : results) {
    const auto more = result.to_vector<double>();
    values.insert(values.end(), more.begin(), more.end());
  }
  return values;
}

TEST(Mpi, OverlapGivesTheBitsOfOneExchangeAfterTheOther) {
  const auto wanted = step_of_two({}, false);
  EXPECT_EQ(step_of_two({.overlap = true}, false), wanted);
  EXPECT_EQ(step_of_two({}, true), wanted);
  EXPECT_EQ(step_of_two({.overlap = true}, true), wanted);
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
