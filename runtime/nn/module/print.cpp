#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "halnorm/error.h"
#include "nn/module/tree.h"

namespace halnorm::HALNORM_ABI::nn {

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

/// Writes a module and, unless `shallow`, those below it.
class Printer : public ModuleTree::Visitor {
 public:
  explicit Printer(bool shallow) : shallow_(shallow) {}

  bool enter(const ModuleTree::Place<const Module>& place) {
    begin_line(place.name, place.depth);
    const std::vector<std::string> extra = lines_of(place.module.extra_repr());
    if (extra.size() <= 1 && children(place.module).empty()) {
      end_line(place.module.name() + "(" + (extra.empty() ? "" : extra.front()) + ")", place.depth);
      return false;
    }
    text_ += place.module.name() + "(\n";
    depth_ = place.depth + 1;
    for (const std::string& line : extra) {
      text_.append(2 * depth_, ' ').append(line).append("\n");
    }
    return true;
  }

  void none(std::string_view name, std::size_t depth) {
    begin_line(name, depth);
    end_line("None", depth);
  }

  void leave(const Module& /*module*/, const std::string& /*prefix*/) {
    --depth_;
    text_.append(2 * depth_, ' ');
    end_line(")", depth_);
  }

  [[nodiscard]] ModuleTree::Children children(const Module& module) const {
    return shallow_ ? ModuleTree::Children() : ModuleTree::children_of(module);
  }

  std::string text() { return std::move(text_); }

 private:
  void begin_line(std::string_view name, std::size_t depth) {
    if (depth > 0) {
      text_.append(2 * depth, ' ').append("(").append(name).append("): ");
    }
  }

  void end_line(std::string_view end, std::size_t depth) {
    text_.append(end).append(depth > 0 ? "\n" : "");
  }

  bool shallow_;
  std::string text_;
  std::size_t depth_ = 0;  ///< of the module whose lines are being written, plus one
};

std::string text_of(const Module& module, bool shallow) {
  Printer printer(shallow);
  ModuleTree::walk(module, "", printer);
  return printer.text();
}

}  // namespace

std::string Module::str() const { return text_of(*this, false); }

std::string Module::shallow_str() const { return text_of(*this, true); }

std::string Module::format(std::string_view spec) const {
  if (!spec.empty()) {
    throw ValueError("unsupported format string passed to " + name() + ".__format__: got '" +
                     std::string(spec) + "', wanted none");
  }
  return str();
}

// A friend is declared in its class, where the header does not make it visible.
#pragma GCC visibility push(default)
std::ostream& operator<<(std::ostream& stream, const Module& module) {
  return stream << module.str();
}
#pragma GCC visibility pop

}  // namespace halnorm::HALNORM_ABI::nn
