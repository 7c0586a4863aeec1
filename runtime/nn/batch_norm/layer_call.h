#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "functional/add_relu.h"
#include "halnorm/nn/batch_norm.h"
#include "nn/batch_norm/forward_records.h"
#include "nn/module/impl.h"

namespace halnorm::HALNORM_ABI::detail {
class Terms;
}  // namespace halnorm::HALNORM_ABI::detail

namespace halnorm::HALNORM_ABI::nn::detail {

/// The operation after the normalization in the same pass: nothing, or y = relu(y + addend).
struct Epilogue {
  const FusedFunctions* fused = nullptr;  ///< a fused layer's
  Tensor addend;                          ///< undefined for none
  double slope = 0;                       ///< of relu below 0

  [[nodiscard]] std::optional<halnorm::detail::AddRelu> relu() const {
    return fused != nullptr ? std::optional(halnorm::detail::AddRelu{addend, slope}) : std::nullopt;
  }
};

/// The forward and the backward of a layer without its hooks, local or global.
class LayerCall {
 public:
  explicit LayerCall(BatchNorm& layer) noexcept
      : layer_(layer), saved_(*ModuleImpl::of(layer).saved) {}

  Tensor forward(const Tensor& x, const Tensor& out, const Epilogue& epilogue);
  BatchNorm::InputGradients backward(const Tensor& grad_output);

  /// The backwards of global layers of one placement, with one agreement of the ranks.
  static std::vector<BatchNorm::InputGradients> differentiate_global(
      const Placement& where, const std::string& operation, const std::vector<BatchNorm*>& layers,
      const std::vector<Tensor>& grad_outputs);

 private:
  using How = std::shared_ptr<const halnorm::detail::Distribution>;  ///< null for a local forward
  struct Prepared;
  struct Backward;

  void check_input(const Tensor& x) const;
  void check_statistics() const;
  [[nodiscard]] std::int64_t* counter() const;
  [[nodiscard]] double update_factor(const std::int64_t* counter) const;
  functional::BatchNormForward train(const Tensor& x, const Tensor& out, const Epilogue& epilogue,
                                     const std::int64_t* count,
                                     halnorm::detail::TrainStatistics& buffers);
  Tensor normalize_by_batch(const Tensor& x, const Tensor& out, const Epilogue& epilogue,
                            const How& how = nullptr);
  Tensor normalize_by_running(const Tensor& x, const Tensor& out, const Epilogue& epilogue,
                              const How& how = nullptr);
  /// The tensors for a record of a forward: save() moves x and the statistics.
  struct Result {
    Tensor &x, &mean, &invstd_or_var;
    const Tensor& y;
    bool batch_statistics = true;
    double count = 0;  ///< see SavedForward
  };
  /// Adds the record of a forward. `buffers` as in SavedForwards::push().
  void save(const Result& result, const Epilogue& epilogue, const How& how,
            halnorm::detail::TrainStatistics& buffers);
  [[noreturn]] void throw_no_forward() const;

  void check_global(const Tensor& x, const Tensor& out, const Epilogue& epilogue) const;
  Tensor compute_global(const Tensor& x, const Tensor& out, const Epilogue& epilogue);
  Tensor normalize_by_all(const Tensor& x, const Tensor& out, const Epilogue& epilogue);
  Prepared prepare_global(const Tensor& x, const Tensor& out, const Epilogue& epilogue,
                          halnorm::detail::Terms& terms) const;

  BatchNorm& layer_;
  SavedForwards& saved_;
};

}  // namespace halnorm::HALNORM_ABI::nn::detail
