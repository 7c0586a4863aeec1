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
///
/// With the argument "overlap" only the following, each plainly and with mpi::Options::overlap, by
/// turns:
///
///   overlap,CxN...   the forwards of four layers, their backwards one after the other, and both
///                    passes with nn::backward_together()

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

/// This rank's part of a batch.
Shape own_rows(Shape shape, int ranks, int rank) {
  shape[0] = shape[0] / ranks + (rank < shape[0] % ranks ? 1 : 0);
  return shape;
}

std::string name_of(const Shape& shape) {
  std::string name;
  for (const std::int64_t extent : shape) {
    name += (name.empty() ? "" : "x") + std::to_string(extent);
  }
  return name;
}

void measure_step(const std::shared_ptr<Timed>& world, const Shape& shape) {
  const Placement all(world, halnorm::DeviceType::CPU);
  halnorm::nn::BatchNorm1d layer(shape[1]);
  layer.to_global(all, Sbp::broadcast());
  const Shape own = own_rows(shape, world->size(), world->rank());
  const Tensor x = Tensor::randn(own, 1).to_global(all, Sbp::split(0));
  const Tensor dy = Tensor::randn(own, 2).to_global(all, Sbp::split(0));
  const auto times = measure([&] {
    static_cast<void>(world->take());
    auto row = step(layer, x, dy);
    row.push_back(microseconds(world->take()));
    return row;
  });
  print(world->rank() == 0, "step," + name_of(shape), world->size(), times);
}

/// Layers of which none needs another's result.
struct Branches {
  std::vector<std::unique_ptr<halnorm::nn::BatchNorm1d>> layers;
  std::vector<halnorm::nn::BatchNorm*> pointers;
  std::vector<Tensor> x, dy;

  Branches(const Placement& all, const Shape& own) {
    constexpr std::uint64_t count = 4;
    for (std::uint64_t i = 0; i < count; ++i) {
      layers.push_back(std::make_unique<halnorm::nn::BatchNorm1d>(own[1]));
      layers.back()->to_global(all, Sbp::broadcast());
      pointers.push_back(layers.back().get());
      x.push_back(Tensor::randn(own, 2 * i).to_global(all, Sbp::split(0)));
      dy.push_back(Tensor::randn(own, 2 * i + 1).to_global(all, Sbp::split(0)));
    }
  }
  void forward() {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      (*layers[i])(x[i]);
    }
  }
  void backward() {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      layers[i]->backward(dy[i]);
    }
  }
};

void measure_overlap(const Shape& shape) {
  std::vector<Branches> engines;
  int ranks = 0;
  int rank = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  for (const bool overlap : {false, true}) {
    const Placement all(halnorm::mpi::communicator(MPI_COMM_WORLD, {.overlap = overlap}),
                        halnorm::DeviceType::CPU);
    engines.emplace_back(all, own_rows(shape, ranks, rank));
  }
  print(rank == 0, "overlap," + name_of(shape), ranks, measure([&] {
          std::vector<double> times;
          const auto timed = [&](const std::function<void()>& call) {
            MPI_Barrier(MPI_COMM_WORLD);
            const auto start = Clock::now();
            call();
            times.push_back(microseconds(Clock::now() - start));
          };
          for (Branches& branches : engines) {
            timed([&] { branches.forward(); });
            timed([&] { branches.backward(); });
            timed([&] {
              branches.forward();
              halnorm::nn::backward_together(branches.pointers, branches.dy);
            });
          }
          return times;
        }));
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
  const Shape shapes[] = {{256, 64}, {4096, 256}, {256, 256, 196}};
  if (argc > 1 && argv[1] == std::string("overlap")) {
    measure_overlap(shapes[0]);
    measure_overlap(shapes[1]);
  } else {
    const auto world = std::make_shared<Timed>(halnorm::mpi::communicator(MPI_COMM_WORLD));
    for (const Shape& shape : shapes) {
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
