#pragma once

#include <functional>
#include <memory>
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

/// One trainer for each of the seeds 1, 2, ..., with batch normalization and without. A pair of one
/// seed has the same layers besides, the same initial weights, the same learning rate, and sees the
/// same examples in the same order.
struct Comparison {
  std::vector<Trainer> with, without;
};

/// Trains them all, and prints a line for each epoch: losses and accuracies as means over the
/// seeds, and the range of the test accuracy.
Comparison compare(const Task& task, int seeds);

/// The mean over the seeds after the last epoch.
double final_test_accuracy(const std::vector<Trainer>& trainers);

/// Saves the trained network, loads the file into a fresh one, and tells whether both give the same
/// bits for the whole test set.
bool survives_saving(const Task& task, halnorm::nn::Module& trained,
                     const std::filesystem::path& path);

}  // namespace demo
