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
/// Measures the parts of a training step over several ranks, one thread each: medians of the
/// slowest rank's times in microseconds, as CSV. scaling.py makes tables and a model of them.
///
///   step,CxN...      a forward and its backward over a batch that is split over the ranks, and of
///                    both what the exchanges take, waiting for other ranks included
///   exchange,BYTES   one all-gather of so many bytes of each rank
///   messages,COUNT   so many messages of 8 bytes at once, each way between two ranks
///   merge,CHANNELS   a forward and its backward of two rows with the parts of R ranks, which an
///                    engine without a network makes up: what grows with ranks besides the exchange
///
/// With the argument "overlap" it measures only the following, without and with
/// mpi::Options::overlap in turn:
///
///   overlap,CxN...   the forwards of four layers, their backwards one after the other, and both
///                    passes with nn::backward_together()

namespace {

using halnorm::Placement;
using halnorm::Sbp;
using halnorm::Shape;
using halnorm::Tensor;

constexpr int warm_up = 10;
constexpr int repetitions = 100;

/// The microseconds of a call.
double timed(const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  call();
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

/// Adds up the time that exchanges take.
class Timed : public halnorm::Communicator {
 public:
  explicit Timed(std::shared_ptr<halnorm::Communicator> inner) : inner_(std::move(inner)) {}

  [[nodiscard]] int rank() const override { return inner_->rank(); }
  [[nodiscard]] int size() const override { return inner_->size(); }
  void all_gather(const void* mine, void* all, std::size_t bytes) override {
    spent_ += timed([&] { inner_->all_gather(mine, all, bytes); });
  }
  double take() { return std::exchange(spent_, 0); }

 private:
  std::shared_ptr<halnorm::Communicator> inner_;
  double spent_ = 0;
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

/// Each call gives a row of times. Prints the median of each column, which the slowest rank has.
void report(const std::string& what, int ranks, const std::function<std::vector<double>()>& call) {
  std::vector<std::vector<double>> columns;
  for (int repetition = 0; repetition < warm_up + repetitions; ++repetition) {
    MPI_Barrier(MPI_COMM_WORLD);
    auto times = call();
    MPI_Allreduce(MPI_IN_PLACE, times.data(), static_cast<int>(times.size()), MPI_DOUBLE, MPI_MAX,
                  MPI_COMM_WORLD);
    columns.resize(times.size());
    for (std::size_t i = 0; i < times.size() && repetition >= warm_up; ++i) {
      columns[i].push_back(times[i]);
    }
  }
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank != 0) {
    return;
  }
  std::printf("%s,%d", what.c_str(), ranks);
  for (auto& column : columns) {
    std::ranges::sort(column);
    std::printf(",%.2f", column[column.size() / 2]);
  }
  std::printf("\n");
  std::fflush(stdout);
}

/// This rank's part of a batch.
Shape own_rows(Shape shape, const halnorm::Communicator& world) {
  const int ranks = world.size();
  shape[0] = shape[0] / ranks + (world.rank() < shape[0] % ranks ? 1 : 0);
  return shape;
}

std::string name_of(const Shape& shape) {
  std::string name;
  for (const std::int64_t extent : shape) {
    name += (name.empty() ? "" : "x") + std::to_string(extent);
  }
  return name;
}

/// Layers on all ranks, none of which needs another's result, and this rank's rows of their x and
/// dy.
struct Layers {
  std::vector<std::unique_ptr<halnorm::nn::BatchNorm1d>> owned;
  std::vector<halnorm::nn::BatchNorm*> modules;
  std::vector<Tensor> x, dy;

  Layers(const Placement& all, const Shape& own, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      owned.push_back(std::make_unique<halnorm::nn::BatchNorm1d>(own[1]));
      owned.back()->to_global(all, Sbp::broadcast());
      modules.push_back(owned.back().get());
      x.push_back(Tensor::randn(own, 2 * i).to_global(all, Sbp::split(0)));
      dy.push_back(Tensor::randn(own, 2 * i + 1).to_global(all, Sbp::split(0)));
    }
  }
  void forward() const {
    for (std::size_t i = 0; i < modules.size(); ++i) {
      (*modules[i])(x[i]);
    }
  }
  void backward() const {
    for (std::size_t i = 0; i < modules.size(); ++i) {
      modules[i]->backward(dy[i]);
    }
  }
  [[nodiscard]] std::vector<double> step() const {
    const double forwards = timed([&] { forward(); });
    return {forwards, timed([&] { backward(); })};
  }
};

void measure_step(const std::shared_ptr<Timed>& world, const Shape& shape) {
  const Layers layer(Placement(world, halnorm::DeviceType::CPU), own_rows(shape, *world), 1);
  report("step," + name_of(shape), world->size(), [&] {
    static_cast<void>(world->take());
    auto row = layer.step();
    row.push_back(world->take());
    return row;
  });
}

void measure_overlap(const Shape& shape) {
  std::vector<Layers> engines;
  int ranks = 0;
  for (const bool overlap : {false, true}) {
    const auto world = halnorm::mpi::communicator(MPI_COMM_WORLD, {.overlap = overlap});
    engines.emplace_back(Placement(world, halnorm::DeviceType::CPU), own_rows(shape, *world), 4);
    ranks = world->size();
  }
  report("overlap," + name_of(shape), ranks, [&] {
    std::vector<double> times;
    const auto add = [&](const std::function<void()>& call) {
      MPI_Barrier(MPI_COMM_WORLD);
      times.push_back(timed(call));
    };
    for (const Layers& layers : engines) {
      add([&] { layers.forward(); });
      add([&] { layers.backward(); });
      add([&] {
        layers.forward();
        halnorm::nn::backward_together(layers.modules, layers.dy);
      });
    }
    return times;
  });
}

void measure_exchange(Timed& world, std::size_t bytes) {
  const std::vector<char> mine(bytes);
  std::vector<char> all(bytes * static_cast<std::size_t>(world.size()));
  report("exchange," + std::to_string(bytes), world.size(), [&]() -> std::vector<double> {
    return {timed([&] { world.all_gather(mine.data(), all.data(), bytes); })};
  });
}

void measure_messages(int rank, int count) {
  std::vector<double> sent(static_cast<std::size_t>(count));
  std::vector<double> received(sent.size());
  const auto exchange = [&] {
    std::vector<MPI_Request> requests;
    for (std::size_t i = 0; i < sent.size(); ++i) {
      MPI_Irecv(&received[i], 1, MPI_DOUBLE, 1 - rank, 0, MPI_COMM_WORLD, &requests.emplace_back());
      MPI_Isend(&sent[i], 1, MPI_DOUBLE, 1 - rank, 0, MPI_COMM_WORLD, &requests.emplace_back());
    }
    MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
  };
  report("messages," + std::to_string(count), 2,
         [&]() -> std::vector<double> { return {timed(exchange)}; });
}

void measure_merge(std::int64_t channels, int ranks) {
  const Placement all(std::make_shared<Echo>(ranks), halnorm::DeviceType::CPU);
  const Layers layer(all, {2, channels}, 1);
  report("merge," + std::to_string(channels), ranks, [&] { return layer.step(); });
}

void measure_all(const std::shared_ptr<Timed>& world, const std::vector<Shape>& shapes) {
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
  for (const std::int64_t channels : {64, 256}) {
    for (const int ranks : {1, 10, 100, 1000}) {
      if (world->size() == 1) {
        measure_merge(channels, ranks);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  halnorm::set_num_threads(1);
  // Memory that was returned to the system costs more than the kernels when it is allocated again.
  mallopt(M_MMAP_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  const std::vector<Shape> shapes{{256, 64}, {4096, 256}, {256, 256, 196}};
  if (argc > 1 && argv[1] == std::string("overlap")) {
    measure_overlap(shapes[0]);
    measure_overlap(shapes[1]);
  } else {
    measure_all(std::make_shared<Timed>(halnorm::mpi::communicator(MPI_COMM_WORLD)), shapes);
  }
  MPI_Finalize();
  return 0;
}
