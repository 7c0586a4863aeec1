#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "halnorm/error.h"
#include "halnorm/nn/module.h"

namespace halnorm::nn {

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

/// All lines but the first, two columns to the right.
std::string indented(const std::string& text) {
  std::string result;
  for (const char character : text) {
    result += character;
    if (character == '\n') {
      result += "  ";
    }
  }
  return result;
}

std::string represent(const std::string& name, const std::vector<std::string>& extra,
                      const std::vector<std::string>& children) {
  if (children.empty() && extra.size() <= 1) {
    return name + "(" + (extra.empty() ? "" : extra.front()) + ")";
  }
  std::string text = name + "(\n";
  for (const auto* lines : {&extra, &children}) {
    for (const std::string& line : *lines) {
      text += "  " + line + "\n";
    }
  }
  return text + ")";
}

}  // namespace

std::string Module::str() const {
  std::vector<std::string> children;
  for (const Registry::Child& child : registry_.children) {
    const std::string text = child.module != nullptr ? child.module->str() : "None";
    children.push_back("(" + child.name + "): " + indented(text));
  }
  return represent(name(), lines_of(extra_repr()), children);
}

std::string Module::shallow_str() const { return represent(name(), lines_of(extra_repr()), {}); }

std::string Module::format(std::string_view spec) const {
  if (!spec.empty()) {
    throw ValueError("unsupported format string passed to " + name() + ".__format__: got '" +
                     std::string(spec) + "', wanted none");
  }
  return str();
}

std::ostream& operator<<(std::ostream& stream, const Module& module) {
  return stream << module.str();
}

}  // namespace halnorm::nn
