#pragma once

#include <version>

#ifdef __cpp_lib_format

#include <algorithm>
#include <concepts>
#include <format>
#include <string>

#include "halnorm/nn/module.h"

/// @file
/// Modules in std::format().

/// std::format("{}", module) is module.str(); there are no format specifications.
template <std::derived_from<halnorm::nn::Module> M>
struct std::formatter<M> {
  /// Accepts an empty specification.
  constexpr auto parse(std::format_parse_context& context) {
    if (context.begin() != context.end() && *context.begin() != '}') {
      throw std::format_error("unsupported format string passed to a module");
    }
    return context.begin();
  }

  /// Writes module.str().
  auto format(const halnorm::nn::Module& module, std::format_context& context) const {
    return std::ranges::copy(module.str(), context.out()).out;
  }
};

#endif
