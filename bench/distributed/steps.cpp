#include <malloc.h>
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "halnorm/halnorm.h"
#include "halnorm/mpi.h"

/// @file
/// Times of what a training step over several ranks consists of, one thread each: medians of the
/// slowest rank's times in microseconds, as CSV. scaling.py makes tables and a model of them.
///
///   step,CxN...      a forward and its backward over a batch that is split over the ranks, and of
///                    both what the exchanges take, waiting for other ranks included
///   exchange,BYTES   one all-gather of so many bytes of each rank
///   messages,COUNT   so many messages of 8 bytes at once, each way between two ranks
///   merge,CHANNELS   a forward and its backward of two rows with the parts of R ranks, which an
///                    engine without a network makes up: what grows with ranks besides the exchange

namespace {

using halnorm::Placement;
using halnorm::Sbp;
using halnorm::Shape;
using halnorm::Tensor;
using Clock = std::chrono::steady_clock;

constexpr int warm_up = 10;
constexpr int repetitions = 100;

double microseconds(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

/// Adds up the time that exchanges take.
class Timed : public halnorm::Communicator {
 public:
  explicit Timed(std::shared_ptr<halnorm::Communicator> inner) : inner_(std::move(inner)) {}

  [[nodiscard]] int rank() const override { return inner_->rank(); }
  [[nodiscard]] int size() const override { return inner_->size(); }
  void all_gather(const void* mine, void* all, std::size_t bytes) override {
    const auto start = Clock::now();
    inner_->all_gather(mine, all, bytes);
    spent_ += Clock::now() - start;
  }
  Clock::duration take() { return std::exchange(spent_, {}); }

 private:
  std::shared_ptr<halnorm::Communicator> inner_;
  Clock::duration spent_{};
};

/// Rank 0 of many that all have its values.
class Echo : public halnorm::Communicator {
 public:
  explicit Echo(int size) : size_(size) {}

  [[nodiscard]] int rank() const override { return 0; }
  [[nodiscard]] int size() const override { return size_; }
  void all_gather(const void* mine, void* all, std::size_t bytes) override {
    auto* place = static_cast<std::byte*>(all);
    for (int rank = 0; rank < size_; ++rank, place += bytes) {
      std::memcpy(place, mine, bytes);
    }
  }

 private:
  int size_;
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

double of_slowest(double mine) {
  double slowest = 0;
  MPI_Allreduce(&mine, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return slowest;
}

/// Each call gives a row of times; returns the median of each column.
std::vector<double> measure(const std::function<std::vector<double>()>& call) {
  std::vector<std::vector<double>> columns;
  for (int repetition = 0; repetition < warm_up + repetitions; ++repetition) {
    MPI_Barrier(MPI_COMM_WORLD);
    const auto times = call();
    columns.resize(times.size());
    for (std::size_t i = 0; i < times.size() && repetition >= warm_up; ++i) {
      columns[i].push_back(of_slowest(times[i]));
    }
  }
  std::vector<double> medians;
  for (const auto& column : columns) {
    medians.push_back(median(column));
  }
  return medians;
}

void print(bool first, const std::string& what, int ranks, const std::vector<double>& times) {
  if (first) {
    std::printf("%s,%d", what.c_str(), ranks);
    for (const double time : times) {
      std::printf(",%.2f", time);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
}

/// Forward and backward.
std::vector<double> step(halnorm::nn::BatchNorm1d& layer, const Tensor& x, const Tensor& dy) {
  const auto start = Clock::now();
  const Tensor y = layer(x);
  const auto between = Clock::now();
  const Tensor dx = layer.backward(dy);
  return {microseconds(between - start), microseconds(Clock::now() - between)};
}

void measure_step(const std::shared_ptr<Timed>& world, const Shape& shape) {
  const Placement all(world, halnorm::DeviceType::CPU);
  halnorm::nn::BatchNorm1d layer(shape[1]);
  layer.to_global(all, Sbp::broadcast());
  Shape own = shape;
  own[0] = shape[0] / world->size() + (world->rank() < shape[0] % world->size() ? 1 : 0);
  const Tensor x = Tensor::randn(own, 1).to_global(all, Sbp::split(0));
  const Tensor dy = Tensor::randn(own, 2).to_global(all, Sbp::split(0));
  std::string name = "step,";
  for (const std::int64_t extent : shape) {
    name += (name.back() == ',' ? "" : "x") + std::to_string(extent);
  }
  const auto times = measure([&] {
    static_cast<void>(world->take());
    auto row = step(layer, x, dy);
    row.push_back(microseconds(world->take()));
    return row;
  });
  print(world->rank() == 0, name, world->size(), times);
}

void measure_exchange(Timed& world, std::size_t bytes) {
  const std::vector<char> mine(bytes);
  std::vector<char> all(bytes * static_cast<std::size_t>(world.size()));
  const auto times = measure([&]() -> std::vector<double> {
    static_cast<void>(world.take());
    world.all_gather(mine.data(), all.data(), bytes);
    return {microseconds(world.take())};
  });
  print(world.rank() == 0, "exchange," + std::to_string(bytes), world.size(), times);
}

void measure_messages(int rank, int count) {
  std::vector<double> sent(static_cast<std::size_t>(count));
  std::vector<double> received(sent.size());
  const auto times = measure([&]() -> std::vector<double> {
    std::vector<MPI_Request> requests;
    const auto start = Clock::now();
    for (std::size_t i = 0; i < sent.size(); ++i) {
      MPI_Irecv(&received[i], 1, MPI_DOUBLE, 1 - rank, 0, MPI_COMM_WORLD, &requests.emplace_back());
      MPI_Isend(&sent[i], 1, MPI_DOUBLE, 1 - rank, 0, MPI_COMM_WORLD, &requests.emplace_back());
    }
    MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
    return {microseconds(Clock::now() - start)};
  });
  print(rank == 0, "messages," + std::to_string(count), 2, times);
}

void measure_merge(std::int64_t channels, int ranks) {
  const Placement all(std::make_shared<Echo>(ranks), halnorm::DeviceType::CPU);
  halnorm::nn::BatchNorm1d layer(channels);
  layer.to_global(all, Sbp::broadcast());
  const Tensor x = Tensor::randn({2, channels}, 1).to_global(all, Sbp::split(0));
  print(true, "merge," + std::to_string(channels), ranks,
        measure([&] { return step(layer, x, x); }));
}

}  // namespace

int main(int argc, char** argv) {
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  halnorm::set_num_threads(1);
  // Memory that was given back to the system costs more than the kernels when it comes again.
  mallopt(M_MMAP_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  {
    const auto world = std::make_shared<Timed>(halnorm::mpi::communicator(MPI_COMM_WORLD));
    for (const Shape& shape : {Shape{256, 64}, Shape{4096, 256}, Shape{256, 256, 196}}) {
      measure_step(world, shape);
    }
    for (const std::size_t bytes : {8U, 1024U, 4096U, 65536U}) {
      measure_exchange(*world, bytes);
    }
    for (const int count : {1, 16, 128}) {
      if (world->size() == 2) {
        measure_messages(world->rank(), count);
      }
    }
    if (world->size() == 1) {
      for (const std::int64_t channels : {64, 256}) {
        for (const int ranks : {1, 10, 100, 1000}) {
          measure_merge(channels, ranks);
        }
      }
    }
  }
  MPI_Finalize();
  return 0;
}
