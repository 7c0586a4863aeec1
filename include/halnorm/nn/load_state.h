#pragma once

#include <string>
#include <utility>
#include <vector>

#include "halnorm/serialize.h"
#include "halnorm/tensor.h"

#pragma GCC visibility push(default)

namespace halnorm::nn {

/// How Module::load_state_dict reads a dictionary.
struct LoadStateOptions {
  bool strict = true;  ///< missing and unexpected keys are errors
  /// What the names begin with, as "module.bn1."; entries with other names are passed over.
  std::string prefix = {};
};

/// What Module::load_state_dict found.
struct LoadResult {
  std::vector<std::string> missing_keys;
  std::vector<std::string> unexpected_keys;

  /// "<All keys matched successfully>", or
  /// "_IncompatibleKeys(missing_keys=['weight'], unexpected_keys=[])".
  [[nodiscard]] std::string str() const;
};

/// One loading in progress: modules note what is to be copied and what is wrong; nothing is copied
/// before every module was asked.
class LoadState {
 public:
  LoadState(StateDict state_dict, bool is_strict)
      : dict(std::move(state_dict)), strict(is_strict) {}

  StateDict dict;  ///< a copy of the caller's that modules may change
  bool strict;
  LoadResult result;
  std::vector<std::string> error_messages;

  /// Plans to copy the entry `key` into `target`, or notes why that cannot be.
  void plan_copy(const std::string& key, const Tensor& target);

  /// Copies all that was planned.
  /// @throws LoadError with everything that is wrong, before anything is copied.
  void commit(const std::string& class_name);

 private:
  std::vector<std::pair<Tensor, Tensor>> copies_;  ///< target, and the value in its dtype
};

}  // namespace halnorm::nn

#pragma GCC visibility pop
