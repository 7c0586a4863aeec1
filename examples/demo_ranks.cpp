#include <halnorm/halnorm.h>
#include <halnorm/mpi.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "experiment.h"

/// @file
/// Trains the networks of the demo on several processes, each of which has its rows of each batch,
/// and by one process alone. Writes the learning curves. Exits with 1 if those of the processes
/// together are not those of the one.
///
/// mpirun -n 4 halnorm_demo_ranks --data examples/data --out demo-out

namespace {

using halnorm::Placement;

constexpr const char* usage =
    "usage: halnorm_demo_ranks [--data DIR] [--out DIR] [--seeds COUNT] [--learning-rate RATE] "
    "[--batch-size ROWS]";

/// The same training three times: by one process; by all, with the statistics of the whole batch;
/// and by all, with the statistics of each rank's rows, as under PyTorch's DistributedDataParallel.
struct Comparison {
  std::vector<demo::Trainer> one, together, apart;
};

Comparison make(const demo::Task& task, int seeds, const Placement& ranks) {
  Comparison made;
  for (const std::uint64_t seed : demo::seeds_of(seeds)) {
    const auto add = [&](std::vector<demo::Trainer>& to, auto network, auto placement) {
      to.emplace_back(std::move(network), task.dataset, task.recipe, seed, placement);
    };
    add(made.one, task.network(true, seed), std::nullopt);
    add(made.together, halnorm::nn::convert_sync_batchnorm(task.network(true, seed), ranks), ranks);
    add(made.apart, task.network(true, seed), ranks);
  }
  return made;
}

/// The largest difference of an epoch's loss and of its test accuracy, as means over the seeds.
struct Distance {
  double loss = 0;
  double accuracy = 0;
};

/// A thousand times the measured distance: training amplifies the last bits of sums of gradients.
constexpr Distance wanted{.loss = 1e-3, .accuracy = 0.01};

/// The result is infinite if one of them is NaN, so that no bound accepts it.
double between(double a, double b) {
  const double distance = std::abs(a - b);
  return std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance;
}

/// All ranks train; the first one alone prints, and trains as the one process.
Distance train(Comparison& c, int epochs, bool first) {
  Distance distance;
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    const demo::Summary one = first ? demo::run_epoch(c.one) : demo::Summary();
    const demo::Summary together = demo::run_epoch(c.together);
    const demo::Summary apart = demo::run_epoch(c.apart);
    if (!first) continue;
    std::printf("%5d", epoch);
    for (const demo::Summary* summary : {&one, &together, &apart}) demo::print_summary(*summary);
    std::printf("\n");
    std::fflush(stdout);
    distance.loss = std::max(distance.loss, between(one.mean.loss, together.mean.loss));
    distance.accuracy =
        std::max(distance.accuracy, between(one.mean.test_accuracy, together.mean.test_accuracy));
  }
  return distance;
}

bool run(demo::Task task, const demo::Options& options, const Placement& ranks,
         std::ostream& curves) {
  const bool first = ranks.group().rank() == 0;
  const auto count = std::to_string(ranks.ranks().size());
  task.recipe = demo::changed(task.recipe, options);
  if (std::cmp_less(task.recipe.batch_size, ranks.ranks().size())) {
    throw std::runtime_error("got batches of " + std::to_string(task.recipe.batch_size) +
                             " rows, wanted a row for each of " + count + " ranks");
  }
  Comparison c = make(task, options.seeds, ranks);
  if (first) {
    std::printf("\n%s: batches of %lld rows on %s ranks\n", task.title.c_str(),
                static_cast<long long>(task.recipe.batch_size), count.c_str());
    std::printf("      | %-36s| %-36s| %s\n", "one process", (count + " ranks").c_str(),
                (count + " ranks, each with its own statistics").c_str());
    std::printf("epoch ");
    for (int i = 0; i < 3; ++i) std::printf("|      loss  train  test (range)       ");
    std::printf("\n");
  }
  const Distance distance = train(c, task.recipe.epochs, first);
  if (!first) return true;
  demo::write_curves(curves, task.dataset.name, "one process", c.one);
  demo::write_curves(curves, task.dataset.name, count + " ranks", c.together);
  demo::write_curves(curves, task.dataset.name, count + " ranks alone", c.apart);
  std::printf(
      "largest distance of %s ranks from one process: %.2g in a loss (wanted: %.2g), %.2g in "
      "a mean test accuracy (%.2g)\n",
      count.c_str(), distance.loss, wanted.loss, distance.accuracy, wanted.accuracy);
  return distance.loss <= wanted.loss && distance.accuracy <= wanted.accuracy;
}

bool demonstrate(const demo::Options& options, const Placement& ranks) {
  const bool first = ranks.group().rank() == 0;
  std::ofstream curves;
  if (first) {
    std::filesystem::create_directories(options.out);
    curves.open(options.out / "curves.csv");
    curves << demo::curves_header;
  }
  const bool tabular = run(demo::tabular_task(options.data), options, ranks, curves);
  const bool motions = run(demo::motions_task(options.data), options, ranks, curves);
  if (!first) return true;
  curves.close();
  if (!curves) throw std::runtime_error("cannot write " + (options.out / "curves.csv").string());
  return tabular && motions;
}

}  // namespace

int main(int argc, char** argv) {
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  int status = 1;
  try {
    halnorm::set_num_threads(1);  // the ranks are the threads
    const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
    const demo::Options options = demo::parse(arguments.subspan(1), usage);
    const Placement all(halnorm::mpi::communicator(MPI_COMM_WORLD), halnorm::DeviceType::CPU);
    status = demonstrate(options, all) ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    MPI_Abort(MPI_COMM_WORLD, 1);  // the other ranks may wait for this one
  }
  MPI_Finalize();
  return status;
}
