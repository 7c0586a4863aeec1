#include <cmath>
#include <string>

#include "base/format.h"
#include "base/strides.h"
#include "halnorm/error.h"
#include "halnorm/nn/load_state.h"
#include "tensor/planned_write.h"

namespace halnorm::HALNORM_ABI::nn {

namespace {

std::string joined(const std::vector<std::string>& names, const char* quote) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : ", ") + (quote + name + quote);
  }
  return text;
}

/// The value of a 0-d target in a checkpoint, which PyTorch 0.3 wrote with one axis.
Tensor without_axis(const Tensor& source, const Tensor& target) {
  return target.dim() == 0 && source.shape() == Shape{1} ? source.reshape({}) : source;
}

/// Int64 cannot hold a NaN, a fraction, or more than 63 bits.
void require_integers(const Tensor& source) {
  if (source.dtype() == DType::Int64) {
    return;
  }
  constexpr double end = 0x1p63;
  for (const double value : source.to_vector<double>()) {
    const bool is_integer = value >= -end && value < end && value == std::trunc(value);
    if (!is_integer) {
      throw ValueError("got " + halnorm::detail::python_float(value) +
                       ", wanted an integer within the range of int64");
    }
  }
}

std::string kind_mismatch(const std::string& key, bool module_is_global) {
  const std::string kinds[] = {"local", "global"};
  return "local / global mismatch for \"" + key + "\":  param from checkpoint is " +
         kinds[module_is_global ? 0 : 1] + " tensor, but the param in current model is " +
         kinds[module_is_global ? 1 : 0] + " tensor. Maybe you need to convert " +
         (module_is_global ? "the checkpoint param to global." : "your model to global.");
}

}  // namespace

std::string LoadResult::str() const {
  if (missing_keys.empty() && unexpected_keys.empty()) {
    return "<All keys matched successfully>";
  }
  return "_IncompatibleKeys(missing_keys=[" + joined(missing_keys, "'") + "], unexpected_keys=[" +
         joined(unexpected_keys, "'") + "])";
}

void LoadState::plan_copy(const std::string& key, const Tensor& target) {
  try {
    if (dict.at(key).is_global() != target.is_global()) {
      error_messages.push_back(kind_mismatch(key, target.is_global()));
      return;
    }
    const Tensor source = without_axis(dict.at(key), target);
    if (source.shape() != target.shape()) {
      error_messages.push_back("size mismatch for " + key + ": copying a param with shape " +
                               halnorm::detail::to_string(source.shape()) +
                               " from checkpoint, the shape in current model is " +
                               halnorm::detail::to_string(target.shape()) + ".");
      return;
    }
    if (target.dtype() == DType::Int64) {
      require_integers(source);
    }
    // A copy onto itself moves nothing, but throws if the target cannot be written.
    Tensor(target).copy_(target);
    // A copy even where no conversion is due: entries may share memory with other targets.
    Tensor value = Tensor::empty(target.shape(), target.dtype(), target.device());
    value.copy_(source.to(target.device()));
    copies_.emplace_back(target, std::move(value));
  } catch (const Error& error) {
    error_messages.push_back("While copying the parameter \"" + key +
                             "\", an exception occurred : " + error.what() + ".");
  }
}

void LoadState::commit(const std::string& class_name) {
  std::string text;
  if (strict && !result.missing_keys.empty()) {
    text += "\n\tMissing key(s) in state_dict: " + joined(result.missing_keys, "\"") + ". ";
  }
  if (strict && !result.unexpected_keys.empty()) {
    text += "\n\tUnexpected key(s) in state_dict: " + joined(result.unexpected_keys, "\"") + ". ";
  }
  for (const std::string& message : error_messages) {
    text += "\n\t" + message;
  }
  if (!text.empty()) {
    throw LoadError("Error(s) in loading state_dict for " + class_name + ":" + text);
  }
  std::vector<halnorm::detail::PlannedWrite> writes;
  writes.reserve(copies_.size());
  for (const auto& [target, value] : copies_) {
    writes.emplace_back(target, value);
  }
  halnorm::detail::run_all(writes);
}

}  // namespace halnorm::HALNORM_ABI::nn
