#pragma once

#include <string>
#include <utility>
#include <vector>

#include "halnorm/serialize.h"
#include "halnorm/tensor.h"

/// @file
/// The result of Module::load_state_dict(), and the state of a load for classes that override
/// load_from_state_dict().

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI::nn {

/// Options of Module::load_state_dict().
struct LoadStateOptions {
  bool strict = true;  ///< missing and unexpected keys are errors
  /// Only entries whose names begin with this prefix, for example "module.bn1.", are loaded; the
  /// prefix is removed from their names.
  std::string prefix = {};  // NOLINT(readability-redundant-member-init): a warning of GCC
};

/// The keys that differ between a module and the dictionary that it loaded.
struct LoadResult {
  std::vector<std::string> missing_keys;     ///< of the module, not in the dictionary
  std::vector<std::string> unexpected_keys;  ///< in the dictionary, not of the module

  /// "<All keys matched successfully>", or
  /// "_IncompatibleKeys(missing_keys=['weight'], unexpected_keys=[])".
  [[nodiscard]] std::string str() const;
};

/// One load in progress. Each module of the tree plans its copies and reports its errors here.
/// Nothing is copied before all modules have done so.
class LoadState {
 public:
  /// A load from this dictionary.
  LoadState(StateDict state_dict, bool is_strict)
      : dict(std::move(state_dict)), strict(is_strict) {}

  StateDict dict;     ///< a copy of the caller's dictionary; modules may change it
  bool strict;        ///< missing and unexpected keys are errors too
  LoadResult result;  ///< the keys found so far
  std::vector<std::string> error_messages;  ///< the errors found so far

  /// Plans to copy the entry `key` into `target`, or adds an error message.
  void plan_copy(const std::string& key, const Tensor& target);

  /// Makes the planned copies.
  /// @throws LoadError with all error messages, before anything is copied.
  void commit(const std::string& class_name);

 private:
  std::vector<std::pair<Tensor, Tensor>> copies_;  ///< target, and the value in its dtype
};

}  // namespace halnorm::HALNORM_ABI::nn

#pragma GCC visibility pop
