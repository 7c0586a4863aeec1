#pragma once

#include <vector>

#include "halnorm/nn/batch_norm.h"
#include "halnorm/nn/fused_batch_norm.h"

/// @file
/// Backwards of several global layers at once (docs/distributed.md).

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI::nn {

/// The backwards of global layers of which none needs another's result, such as those of parallel
/// branches. Results and bits are those of `layers[i]->backward(grad_outputs[i])` in this order.
/// The ranks compare their calls once for all layers. If the communicator can start an exchange,
/// the sums of a layer are exchanged while those of the next one are computed.
///
/// Returns the gradients of each layer's inputs; daddend is undefined unless the layer is fused and
/// had an addend. A layer may occur several times. A SyncBatchNorm takes and returns local tensors
/// here too. An override of backward() is not called. If it throws, nothing has changed.
/// @throws ValueError if the lists have unequal lengths, or a layer is null, local or on another
///         placement; otherwise as BatchNorm::backward().
std::vector<FusedGradients> backward_together(const std::vector<BatchNorm*>& layers,
                                              const std::vector<Tensor>& grad_outputs);

}  // namespace halnorm::HALNORM_ABI::nn

#pragma GCC visibility pop
