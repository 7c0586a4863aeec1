#include "experiment.h"
#include "layers.h"

namespace demo {
namespace {

using halnorm::nn::BatchNorm1d;
using halnorm::nn::Sequential;

std::shared_ptr<Sequential> perceptron(bool batch_norm, std::uint64_t seed) {
  auto network = std::make_shared<Sequential>();
  if (batch_norm) network->emplace<BatchNorm1d>(30);
  network->emplace<Linear>(30, 16, seed + 1);
  if (batch_norm) network->emplace<BatchNorm1d>(16);
  network->emplace<ReLU>();
  network->emplace<Linear>(16, 16, seed + 2);
  if (batch_norm) network->emplace<BatchNorm1d>(16);
  network->emplace<ReLU>();
  network->emplace<Linear>(16, 2, seed + 3);
  return network;
}

}  // namespace

Task tabular_task(const std::filesystem::path& data_directory) {
  return {.title = "Wisconsin breast cancer, (N, C)",
          .dataset = load_breast_cancer(data_directory),
          .network = perceptron,
          .recipe = {.epochs = 20, .batch_size = 16, .learning_rate = 0.02F}};
}

}  // namespace demo
