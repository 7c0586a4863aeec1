#include "experiment.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string_view>

using halnorm::Tensor;

namespace demo {
namespace {

std::vector<Trainer> make_trainers(const Task& task, int seeds, bool batch_norm) {
  std::vector<Trainer> trainers;
  for (const std::uint64_t seed : seeds_of(seeds)) {
    trainers.emplace_back(task.network(batch_norm, seed), task.dataset, task.recipe, seed);
  }
  return trainers;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() &&
         std::memcmp(a.raw_data(), b.raw_data(),
                     static_cast<std::size_t>(a.numel()) * size_of(a.dtype())) == 0;
}

}  // namespace

Options parse(std::span<char*> arguments, const std::string& usage) {
  Options options;
  if (arguments.size() % 2 != 0) {
    throw std::runtime_error(usage);
  }
  for (std::size_t i = 0; i < arguments.size(); i += 2) {
    const std::string_view name = arguments[i];
    const std::string value = arguments[i + 1];
    if (name == "--data") {
      options.data = value;
    } else if (name == "--out") {
      options.out = value;
    } else if (name == "--seeds" && std::stoi(value) > 0) {
      options.seeds = std::stoi(value);
    } else if (name == "--learning-rate") {
      options.learning_rate = std::stof(value);
    } else if (name == "--batch-size" && std::stoi(value) > 0) {
      options.batch_size = std::stoi(value);
    } else {
      throw std::runtime_error("got '" + std::string(name) + " " + value + "'\n" + usage);
    }
  }
  return options;
}

Recipe changed(Recipe recipe, const Options& options) {
  recipe.learning_rate = options.learning_rate.value_or(recipe.learning_rate);
  recipe.batch_size = options.batch_size.value_or(recipe.batch_size);
  return recipe;
}

std::vector<std::uint64_t> seeds_of(int count) {
  std::vector<std::uint64_t> seeds;
  for (int number = 1; number <= count; ++number) {
    seeds.push_back(1000 * static_cast<std::uint64_t>(number));
  }
  return seeds;
}

Summary run_epoch(std::vector<Trainer>& trainers) {
  Summary summary;
  const auto count = static_cast<double>(trainers.size());
  for (Trainer& trainer : trainers) {
    const Epoch epoch = trainer.run_epoch();
    summary.mean.loss += epoch.loss / count;
    summary.mean.train_accuracy += epoch.train_accuracy / count;
    summary.mean.test_accuracy += epoch.test_accuracy / count;
    summary.worst = std::min(summary.worst, epoch.test_accuracy);
    summary.best = std::max(summary.best, epoch.test_accuracy);
  }
  return summary;
}

void print_summary(const Summary& s) {
  if (std::isfinite(s.mean.loss)) {
    std::printf(" | %9.3g", s.mean.loss);
  } else {
    std::printf(" |  diverged");
  }
  std::printf("  %5.3f  %5.3f (%5.3f-%5.3f)", s.mean.train_accuracy, s.mean.test_accuracy, s.worst,
              s.best);
}

Comparison compare(const Task& task, int seeds) {
  Comparison comparison{.with = make_trainers(task, seeds, true),
                        .without = make_trainers(task, seeds, false)};
  std::printf("\n%s\n%s\n", task.title.c_str(), comparison.with.front().network().str().c_str());
  std::printf("%lld examples to learn from, %lld to be tested on; mean of %d seeds\n",
              static_cast<long long>(task.dataset.train.count()),
              static_cast<long long>(task.dataset.test.count()), seeds);
  std::printf("      | with BatchNorm1d                     | without\n");
  std::printf("epoch |      loss  train  test (range)       |      loss  train  test (range)\n");
  for (int epoch = 1; epoch <= task.recipe.epochs; ++epoch) {
    std::printf("%5d", epoch);
    print_summary(run_epoch(comparison.with));
    print_summary(run_epoch(comparison.without));
    std::printf("\n");
    std::fflush(stdout);
  }
  return comparison;
}

double final_test_accuracy(const std::vector<Trainer>& trainers) {
  double sum = 0;
  for (const Trainer& trainer : trainers) sum += trainer.curve().back().test_accuracy;
  return sum / static_cast<double>(trainers.size());
}

void write_curves(std::ostream& file, const std::string& dataset, const std::string& variant,
                  const std::vector<Trainer>& trainers) {
  for (std::size_t seed = 0; seed < trainers.size(); ++seed) {
    const std::vector<Epoch>& curve = trainers[seed].curve();
    for (std::size_t epoch = 0; epoch < curve.size(); ++epoch) {
      file << dataset << ',' << variant << ',' << seed + 1 << ',' << epoch + 1 << ','
           << curve[epoch].loss << ',' << curve[epoch].train_accuracy << ','
           << curve[epoch].test_accuracy << '\n';
    }
  }
}

bool survives_saving(const Task& task, halnorm::nn::Module& trained,
                     const std::filesystem::path& path) {
  halnorm::save(trained.state_dict(), path);
  const auto reloaded = task.network(true, 0);  // other weights than the trained one began with
  reloaded->load_state_dict(halnorm::load(path));
  const Tensor& x = task.dataset.test.x;
  return same_bits(predict(trained, x), predict(*reloaded, x));
}

}  // namespace demo
