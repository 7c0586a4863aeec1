#include "halnorm/nn/backward_together.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "distributed/agree.h"
#include "halnorm/error.h"
#include "halnorm/nn/sync_batch_norm.h"
#include "nn/batch_norm/layer_call.h"

namespace halnorm::HALNORM_ABI::nn {

namespace {

constexpr const char* operation = "nn::backward_together";

/// Of each layer; null for a null or local one.
using Placements = std::vector<const Placement*>;

void check(const std::vector<BatchNorm*>& layers, const Placements& placements,
           std::size_t gradients, const Placement& where) {
  const std::string prefix = std::string(operation) + ": got ";
  if (layers.size() != gradients) {
    throw ValueError(prefix + std::to_string(layers.size()) + " layers and " +
                     std::to_string(gradients) + " gradients, wanted a gradient for each layer");
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::string which = " at index " + std::to_string(i);
    if (layers[i] == nullptr) {
      throw ValueError(prefix + "a null layer" + which + ", wanted a global layer");
    }
    const Placement* own = placements[i];
    if (own == nullptr || *own != where) {
      throw ValueError(prefix + layers[i]->name() + which +
                       (own == nullptr ? ", a local layer" : " on " + own->str()) +
                       ", wanted all layers on " + where.str());
    }
  }
}

/// That of the first global layer.
const Placement& first_of(const Placements& placements) {
  const auto first =
      std::ranges::find_if(placements, [](const Placement* own) { return own != nullptr; });
  if (first == placements.end()) {
    throw ValueError(std::string(operation) + ": got " + std::to_string(placements.size()) +
                     " layers without a placement, wanted global layers");
  }
  return **first;
}

}  // namespace

std::vector<FusedGradients> backward_together(const std::vector<BatchNorm*>& layers,
                                              const std::vector<Tensor>& grad_outputs) {
  Placements placements;
  for (const BatchNorm* layer : layers) {
    placements.push_back(layer == nullptr ? nullptr
                                          : detail::ModuleImpl::of(*layer).placement.get());
  }
  const Placement where = first_of(placements);
  try {
    check(layers, placements, grad_outputs.size(), where);
  } catch (const ValueError&) {
    // The other ranks wait for this one's call.
    halnorm::detail::agree(where, operation, [](halnorm::detail::Terms&) { throw; });
  }
  std::vector<Tensor> gradients = grad_outputs;
  std::vector<bool> converts(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto* sync = dynamic_cast<const SyncBatchNorm*>(layers[i]);
    converts[i] = sync != nullptr && !gradients[i].is_global();
    gradients[i] = converts[i] ? sync->as_rows(gradients[i]) : gradients[i];
  }
  auto computed = detail::LayerCall::differentiate_global(where, operation, layers, gradients);
  std::vector<FusedGradients> results;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    auto& [dx, daddend] = computed[i];
    results.push_back({converts[i] ? dx.to_local() : dx, daddend});
  }
  return results;
}

}  // namespace halnorm::HALNORM_ABI::nn
