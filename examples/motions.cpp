#include "experiment.h"
#include "layers.h"

namespace demo {
namespace {

using halnorm::nn::BatchNorm1d;
using halnorm::nn::Sequential;

Conv1dOptions halving(std::int64_t in, std::int64_t out, std::int64_t kernel) {
  return {.in_channels = in,
          .out_channels = out,
          .kernel_size = kernel,
          .stride = 2,
          .padding = kernel / 2};
}

std::shared_ptr<Sequential> convolutions(bool batch_norm, std::uint64_t seed) {
  auto network = std::make_shared<Sequential>();
  if (batch_norm) network->emplace<BatchNorm1d>(6);
  for (const Conv1dOptions& options : {halving(6, 16, 7), halving(16, 32, 5), halving(32, 32, 3)}) {
    network->emplace<Conv1d>(options, ++seed);
    if (batch_norm) network->emplace<BatchNorm1d>(options.out_channels);
    network->emplace<ReLU>();
  }
  network->emplace<GlobalAveragePool>();
  network->emplace<Linear>(32, 4, ++seed);
  return network;
}

}  // namespace

Task motions_task(const std::filesystem::path& data_directory) {
  return {.title = "BasicMotions, (N, C, L)",
          .dataset = load_basic_motions(data_directory),
          .network = convolutions,
          .recipe = {.epochs = 30, .batch_size = 8, .learning_rate = 0.05F}};
}

}  // namespace demo
