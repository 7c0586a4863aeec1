#pragma once

#include <string_view>

#include "kernels/table.h"

/// @file
/// The operations that HALNORM_OPERATIONS chose for this build, and those that it left out.

namespace halnorm::HALNORM_ABI::detail {

inline constexpr const char* chosen_groups =
#include "halnorm_groups.inc"
    ;

/// The words of HALNORM_OPERATIONS that an operation needs one of; null if the build has it.
constexpr const char* missing_groups(Operation operation) noexcept {
  switch (operation) {
#define HALNORM_LEFT_OUT(name, groups) \
  case Operation::name:                \
    return groups;
#include "halnorm_left_out.inc"
#undef HALNORM_LEFT_OUT
    default:
      return nullptr;
  }
}

}  // namespace halnorm::HALNORM_ABI::detail
