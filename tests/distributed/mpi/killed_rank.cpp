#include <mpi.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "halnorm/halnorm.h"
#include "halnorm/mpi.h"

/// @file
/// Rank 1 of several is killed at a point of a training step, which the argument names. The others
/// print what they caught. killed_rank.py judges the output.

namespace {

using halnorm::Sbp;
using halnorm::Tensor;
using Clock = std::chrono::steady_clock;

/// Kills its process in the n-th exchange from now on.
class Mortal : public halnorm::Communicator {
 public:
  explicit Mortal(std::shared_ptr<halnorm::Communicator> inner) : inner_(std::move(inner)) {}

  [[nodiscard]] int rank() const override { return inner_->rank(); }
  [[nodiscard]] int size() const override { return inner_->size(); }
  void all_gather(const void* mine, void* all, std::size_t bytes) override {
    if (rank() == 1 && left_ > 0) {
      --left_;
      if (left_ == 0) {
        std::raise(SIGKILL);
      }
    }
    inner_->all_gather(mine, all, bytes);
  }
  void die_after(int exchanges) { left_ = exchanges; }

 private:
  std::shared_ptr<halnorm::Communicator> inner_;
  int left_ = 0;
};

void step(Mortal& world, halnorm::nn::BatchNorm1d& layer, const Tensor& x,
          const std::string& when) {
  if (when == "forward") {
    world.die_after(2);  // after the check, before the statistics
  }
  layer(x);
  if (when == "between" && world.rank() == 1) {
    std::raise(SIGKILL);
  }
  if (when == "backward") {
    world.die_after(2);
  }
  layer.backward(x);
}

}  // namespace

int main(int argc, char** argv) {
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  const std::string when = argc > 1 ? argv[1] : "";
  const auto world = std::make_shared<Mortal>(
      halnorm::mpi::communicator(MPI_COMM_WORLD, {.timeout = std::chrono::milliseconds(2000)}));
  const halnorm::Placement all(world, halnorm::DeviceType::CPU);
  halnorm::nn::BatchNorm1d layer(3);
  layer.to_global(all, Sbp::broadcast());
  const Tensor x = Tensor::randn({4, 3}, 1).to_global(all, Sbp::split(0));
  const auto start = Clock::now();
  try {
    step(*world, layer, x, when);
  } catch (const halnorm::CommunicationError& error) {
    const std::chrono::duration<double> seconds = Clock::now() - start;
    std::printf("survivor %d after %.1f s: %s\n", world->rank(), seconds.count(), error.what());
    std::fflush(stdout);
    std::_Exit(0);  // MPI_Finalize() would wait for the rank that is gone
  }
  return 1;
}
