#include <halnorm/halnorm.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <set>
#include <span>
#include <stdexcept>
#include <string>

#include "experiment.h"

/// @file
/// Trains two classifiers on real data, with and without batch normalization; writes the learning
/// curves and the trained networks. Exits with 1 if a network with batch normalization stays below
/// the wanted accuracy, or predicts otherwise after it was saved and loaded.

namespace {

constexpr double wanted_accuracy = 0.95;
constexpr const char* usage =
    "usage: halnorm_demo [--data DIR] [--out DIR] [--seeds COUNT] [--learning-rate RATE] "
    "[--batch-size ROWS]";

/// The kernel that normalizes an x of this shape with its own statistics. A training forward ends
/// with another one, which updates the running statistics, so that this one has to be called by
/// itself.
std::string training_kernel(const halnorm::Tensor& x) {
  const halnorm::Tensor none;
  halnorm::functional::batch_norm_train(x, none, none, 1e-5);
  return halnorm::last_kernel();
}

/// Trains, compares, saves and reloads; true if every check holds.
bool run(demo::Task task, const demo::Options& options, std::ostream& curves) {
  task.recipe = demo::changed(task.recipe, options);
  const demo::Comparison comparison = demo::compare(task, options.seeds);
  demo::write_curves(curves, task.dataset.name, "with", comparison.with);
  demo::write_curves(curves, task.dataset.name, "without", comparison.without);

  const double with = demo::final_test_accuracy(comparison.with);
  const double without = demo::final_test_accuracy(comparison.without);
  std::printf("test accuracy: %.3f with BatchNorm1d (wanted: %.2f), %.3f without\n", with,
              wanted_accuracy, without);

  const demo::Trainer& first = comparison.with.front();
  const std::filesystem::path path = options.out / (task.dataset.name + ".safetensors");
  const bool same = demo::survives_saving(task, first.network(), path);
  std::printf("saved to %s and loaded into a fresh network: %s\n", path.string().c_str(),
              same ? "the same outputs, bit for bit" : "OTHER OUTPUTS");

  std::set<std::string> kernels = first.kernels();
  kernels.insert(training_kernel(task.dataset.train.x));
  std::printf("kernels that ran:\n");
  for (const std::string& kernel : kernels) std::printf("  %s\n", kernel.c_str());
  return with >= wanted_accuracy && same;
}

int demonstrate(const demo::Options& options) {
  const auto start = std::chrono::steady_clock::now();
  std::filesystem::create_directories(options.out);
  std::ofstream curves(options.out / "curves.csv");
  curves << demo::curves_header;

  std::printf("kernels for");
  for (const std::string& target : halnorm::targets()) std::printf(" %s", target.c_str());
  std::printf(" run on this machine, the first by default; %d threads\n",
              halnorm::get_num_threads());

  const bool tabular = run(demo::tabular_task(options.data), options, curves);
  const bool motions = run(demo::motions_task(options.data), options, curves);
  curves.close();
  if (!curves) throw std::runtime_error("cannot write " + (options.out / "curves.csv").string());

  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("\n%s after %.1f s\n", tabular && motions ? "demo passed" : "DEMO FAILED",
              seconds.count());
  return tabular && motions ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
    return demonstrate(demo::parse(arguments.subspan(1), usage));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
