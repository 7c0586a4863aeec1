#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "halnorm/halnorm.h"
#include "halnorm/mpi.h"

/// @file
/// Time of a training forward and its backward over a batch that is split over all ranks, one
/// thread each, and the share of it that exchanges take. Medians of the slowest rank's times.

namespace {

using halnorm::Placement;
using halnorm::Sbp;
using halnorm::Shape;
using halnorm::Tensor;
using Clock = std::chrono::steady_clock;

double microseconds(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

/// Adds up the time that exchanges take, waiting for other ranks included.
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

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

double of_slowest(double mine) {
  double slowest = 0;
  MPI_Allreduce(&mine, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return slowest;
}

struct Times {
  std::vector<double> forward, backward, exchange;
};

void measure(const std::shared_ptr<Timed>& world, const Shape& shape) {
  constexpr int warm_up = 10;
  constexpr int steps = 100;
  const Placement all(world, halnorm::DeviceType::CPU);
  halnorm::nn::BatchNorm1d layer(shape[1]);
  layer.to_global(all, Sbp::broadcast());
  Shape own = shape;
  own[0] = shape[0] / world->size() + (world->rank() < shape[0] % world->size() ? 1 : 0);
  const Tensor x = Tensor::randn(own, 1).to_global(all, Sbp::split(0));
  const Tensor dy = Tensor::randn(own, 2).to_global(all, Sbp::split(0));
  Times times;
  for (int step = 0; step < warm_up + steps; ++step) {
    MPI_Barrier(MPI_COMM_WORLD);
    static_cast<void>(world->take());
    const auto start = Clock::now();
    const Tensor y = layer(x);
    const auto between = Clock::now();
    const Tensor dx = layer.backward(dy);
    const auto end = Clock::now();
    const double exchange = microseconds(world->take());
    if (step >= warm_up) {
      times.forward.push_back(of_slowest(microseconds(between - start)));
      times.backward.push_back(of_slowest(microseconds(end - between)));
      times.exchange.push_back(of_slowest(exchange));
    }
  }
  if (world->rank() == 0) {
    std::string text;
    for (const std::int64_t extent : shape) {
      text += (text.empty() ? "(" : ", ") + std::to_string(extent);
    }
    std::printf("| %s) | %d | %.0f | %.0f | %.0f |\n", text.c_str(), world->size(),
                median(times.forward), median(times.backward), median(times.exchange));
  }
}

}  // namespace

int main(int argc, char** argv) {
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  halnorm::set_num_threads(1);
  {
    const auto world = std::make_shared<Timed>(halnorm::mpi::communicator(MPI_COMM_WORLD));
    if (world->rank() == 0) {
      std::printf("| x, float32 | ranks | forward, us | backward, us | of it exchanges, us |\n");
      std::printf("|---|--:|--:|--:|--:|\n");
    }
    for (const Shape& shape : {Shape{256, 64}, Shape{4096, 256}, Shape{256, 256, 196}}) {
      measure(world, shape);
    }
  }
  MPI_Finalize();
  return 0;
}
