#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "dataset.h"
#include "trainer.h"

namespace demo {

/// One data set, the network that learns it, and how.
struct Task {
  std::string title;
  Dataset dataset;
  std::function<std::shared_ptr<halnorm::nn::Sequential>(bool batch_norm, std::uint64_t seed)>
      network;
  Recipe recipe;
};

/// A multilayer perceptron on the unscaled (N, 30) measurements.
Task tabular_task(const std::filesystem::path& data_directory);

/// A small convolutional network on the (N, 6, 100) recordings.
Task motions_task(const std::filesystem::path& data_directory);

/// The program's options.
struct Options {
  std::filesystem::path data = "examples/data";
  std::filesystem::path out = "demo-out";
  int seeds = 5;
  // If set, these two replace the values of both recipes.
  std::optional<float> learning_rate;
  std::optional<std::int64_t> batch_size;
};

/// @throws std::runtime_error with `usage` for anything else than pairs of an option and its value.
Options parse(std::span<char*> arguments, const std::string& usage);

/// The recipe with the values that the options set.
Recipe changed(Recipe recipe, const Options& options);

/// The seeds 1, 2, ..., a thousand apart: each layer adds its own small number.
std::vector<std::uint64_t> seeds_of(int count);

/// One epoch of several trainers: the mean over them, and the range of the test accuracy.
struct Summary {
  Epoch mean;
  double worst = 1;
  double best = 0;
};
Summary run_epoch(std::vector<Trainer>& trainers);

/// Three columns of a table: loss, accuracy of training, of the test (with its range).
void print_summary(const Summary& summary);

/// One trainer for each seed, with batch normalization and without. A pair of one seed has the same
/// layers besides, the same initial weights, the same learning rate, and sees the same examples in
/// the same order.
struct Comparison {
  std::vector<Trainer> with, without;
};

/// Trains them all, and prints a line for each epoch: losses and accuracies as means over the
/// seeds, and the range of the test accuracy.
Comparison compare(const Task& task, int seeds);

/// The mean over the seeds after the last epoch.
double final_test_accuracy(const std::vector<Trainer>& trainers);

constexpr const char* curves_header =
    "dataset,variant,seed,epoch,loss,train_accuracy,test_accuracy\n";

/// A line of the CSV file for each epoch of each trainer.
void write_curves(std::ostream& file, const std::string& dataset, const std::string& variant,
                  const std::vector<Trainer>& trainers);

/// Saves the trained network, loads the file into a fresh one, and tells whether both give the same
/// bits for the whole test set.
bool survives_saving(const Task& task, halnorm::nn::Module& trained,
                     const std::filesystem::path& path);

}  // namespace demo
