#include "nn/module/class_name.h"

#include <memory>
#include <string_view>

#if __has_include(<cxxabi.h>)
#include <cxxabi.h>

#include <cstdlib>
#endif

// The text of an expanded macro.
#define HALNORM_TEXT_OF(name) #name
#define HALNORM_TEXT(name) HALNORM_TEXT_OF(name)

namespace halnorm::HALNORM_ABI::nn {

namespace {

/// Where the template arguments at the end of a name begin; its size if it has none.
std::size_t end_of_identifier(const std::string& name) {
  if (!name.ends_with('>')) {
    return name.size();
  }
  std::size_t open = 0;
  for (std::size_t at = name.size(); at-- > 0;) {
    open += name[at] == '>' ? 1 : 0;
    open -= name[at] == '<' ? 1 : 0;
    if (open == 0) {
      return at;
    }
  }
  return name.size();
}

/// A user writes halnorm::nn, not the inline namespace in it.
std::string without_abi(std::string name) {
  constexpr std::string_view ours = "halnorm::";
  constexpr std::string_view with_abi =
      "halnorm::" HALNORM_TEXT(HALNORM_ABI_OF(HALNORM_VERSION_MAJOR, HALNORM_VERSION_MINOR)) "::";
  for (std::size_t at = 0; (at = name.find(with_abi, at)) != std::string::npos;) {
    name.replace(at, with_abi.size(), ours);
  }
  return name;
}

}  // namespace

std::string full_class_name(const std::type_info& type) {
#if __has_include(<cxxabi.h>)
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> demangled(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), std::free);
  if (status == 0) {
    return without_abi(demangled.get());
  }
#endif
  return type.name();
}

std::string class_name(const std::type_info& type) {
  std::string name = full_class_name(type);
  name.resize(end_of_identifier(name));
  const std::size_t colons = name.rfind("::");
  return colons == std::string::npos ? name : name.substr(colons + 2);
}

}  // namespace halnorm::HALNORM_ABI::nn
