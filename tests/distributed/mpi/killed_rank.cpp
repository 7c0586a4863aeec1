#include <mpi.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "halnorm/halnorm.h"
#include "halnorm/mpi.h"

/// @file
/// Rank 1 of several is lost at a point of a training step, which the first argument names: it is
/// killed or, with the second argument "cut", its host loses its network. With "overlap" exchanges
/// are pending while kernels run. The others print what they caught. killed_rank.py judges the
/// output.

namespace {

using halnorm::Sbp;
using halnorm::Tensor;
using Clock = std::chrono::steady_clock;

/// Kills its process, or takes the network interface of its host down: packets to and from it
/// vanish, and no connection is closed.
void lose_rank(bool cut) {
  if (!cut) {
    std::raise(SIGKILL);
    return;
  }
  // A constant command. NOLINTNEXTLINE(bugprone-command-processor)
  if (std::system("ip link set eth0 down") != 0) {
    std::printf("the network cannot be taken down\n");
  }
}

/// Loses rank 1 in the n-th exchange from now on.
class Mortal : public halnorm::Communicator {
 public:
  Mortal(std::shared_ptr<halnorm::Communicator> inner, const std::string& how)
      : inner_(std::move(inner)), cut_(how == "cut"), overlaps_(how == "overlap") {}

  [[nodiscard]] int rank() const override { return inner_->rank(); }
  [[nodiscard]] int size() const override { return inner_->size(); }
  void all_gather(const void* mine, void* all, std::size_t bytes) override {
    count();
    inner_->all_gather(mine, all, bytes);
  }
  std::unique_ptr<Exchange> start_all_gather(const void* mine, void* all,
                                             std::size_t bytes) override {
    if (!overlaps_) {
      return nullptr;
    }
    count();
    return inner_->start_all_gather(mine, all, bytes);
  }
  void die_after(int exchanges) { left_ = exchanges; }
  void lose() const { lose_rank(cut_); }

 private:
  void count() {
    if (rank() == 1 && left_ > 0) {
      --left_;
      if (left_ == 0) {
        lose();
      }
    }
  }

  std::shared_ptr<halnorm::Communicator> inner_;
  bool cut_;
  bool overlaps_;
  int left_ = 0;
};

void step(Mortal& world, halnorm::nn::BatchNorm1d& layer, const Tensor& x,
          const std::string& when) {
  if (when == "forward") {
    world.die_after(2);  // after the check, before the statistics
  }
  layer(x);
  if (when == "between" && world.rank() == 1) {
    world.lose();
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
  const std::string how = argc > 2 ? argv[2] : "";
  const halnorm::mpi::Options options{.timeout = std::chrono::milliseconds(2000),
                                      .overlap = how == "overlap"};
  const auto world =
      std::make_shared<Mortal>(halnorm::mpi::communicator(MPI_COMM_WORLD, options), how);
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
