#include "suite.h"

#include <algorithm>
#include <charconv>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace halnorm::bench {
namespace {

struct Options {
  bool list_shapes = false;
  std::string shape;
  std::vector<Element> elements{Element::F32};
  std::vector<int> threads;
};

std::optional<std::string_view> value_of(std::string_view argument, std::string_view option) {
  if (!argument.starts_with(option)) return std::nullopt;
  return argument.substr(option.size());
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream{std::string(text)};
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

/// A whole number from 1 up. @throws std::invalid_argument that names the option.
template <class Number>
Number parse_positive(std::string_view option, const std::string& text) {
  Number number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ptr != end || parsed.ec != std::errc() || number < 1) {
    throw std::invalid_argument(std::string(option) + " wants numbers from 1 up, got '" + text +
                                "'");
  }
  return number;
}

std::vector<int> parse_threads(std::string_view list) {
  std::vector<int> threads;
  for (const auto& item : split(list, ',')) {
    threads.push_back(parse_positive<int>("--threads", item));
  }
  return threads;
}

std::vector<Element> parse_elements(std::string_view list) {
  std::vector<Element> chosen;
  for (const auto& item : split(list, ',')) {
    const auto* const found =
        std::ranges::find(elements, item, [](Element element) { return name_of(element); });
    if (found == std::end(elements)) {
      throw std::invalid_argument("--dtypes: no dtype '" + item + "'");
    }
    chosen.push_back(*found);
  }
  return chosen;
}

/// A shape of the suite, or one made of "NxC" or "NxCxL".
BenchShape parse_shape(const std::string& name) {
  const auto* const known = std::ranges::find(shapes, name, &BenchShape::name);
  if (known != shapes.end()) return *known;
  std::vector<std::int64_t> extents;
  for (const auto& extent : split(name, 'x')) {
    extents.push_back(parse_positive<std::int64_t>("--shape", extent));
  }
  if (extents.size() == 2) return nc(extents[0], extents[1], false, "asked for");
  if (extents.size() == 3) return ncl(extents[0], extents[1], extents[2], false, "asked for");
  throw std::invalid_argument("--shape wants NxC or NxCxL, got '" + name + "'");
}

std::vector<int> default_threads() {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return cores == 1 ? std::vector<int>{1} : std::vector<int>{1, cores};
}

/// Takes our own arguments out of argv, so that the rest is Google Benchmark's.
Options parse_options(int& argc, char** argv) {
  Options options;
  const auto ours = [&options](std::string_view argument) {
    if (argument == "--shapes") {
      options.list_shapes = true;
    } else if (const auto shape = value_of(argument, "--shape=")) {
      options.shape = *shape;
    } else if (const auto dtypes = value_of(argument, "--dtypes=")) {
      options.elements = parse_elements(*dtypes);
    } else if (const auto threads = value_of(argument, "--threads=")) {
      options.threads = parse_threads(*threads);
    } else {
      return false;
    }
    return true;
  };
  char** end = std::remove_if(argv + 1, argv + argc, [&](const char* word) { return ours(word); });
  argc = static_cast<int>(end - argv);
  if (options.threads.empty()) options.threads = default_threads();
  return options;
}

void print_shapes() {
  for (const BenchShape& shape : shapes) {
    std::cout << shape.name() << '\t' << shape.n << '\t' << shape.c << '\t' << shape.l << '\t'
              << shape.rank << '\t' << (shape.quick ? "quick" : "full") << '\t' << shape.reason
              << '\n';
  }
}

/// Holds the buffers of one shape at a time.
class Workspace {
 public:
  Problem& problem(const BenchShape& shape, Element element) {
    const bool fits = problem_ && problem_->shape().name() == shape.name();
    if (!fits || problem_->element() != element) {
      problem_.reset();
      problem_ = std::make_unique<Problem>(shape, element);
    }
    return *problem_;
  }

 private:
  std::unique_ptr<Problem> problem_;
};

void register_case(const Case& item, std::string_view layout, const std::string& program,
                   const CaseBody& body, const std::shared_ptr<Workspace>& workspace) {
  std::ostringstream name;
  name << name_of(item.operation) << '/' << layout << '/' << name_of(item.element) << '/'
       << item.shape.name() << "/threads:" << item.threads << '/' << program;
  benchmark::RegisterBenchmark(name.str().c_str(), [=](benchmark::State& state) {
    body(state, item, workspace->problem(item.shape, item.element));
  })->UseManualTime();
}

void register_shape(const BenchShape& shape, Element element, const Options& options,
                    const Program& program, const std::shared_ptr<Workspace>& workspace) {
  for (const Operation operation : operations) {
    for (const int threads : options.threads) {
      const Case nlc{shape, element, operation, Layout::Nlc, threads};
      if (program.floor) register_case(nlc, "any", "floor", program.floor, workspace);
      register_case(nlc, name_of(Layout::Nlc), program.name, program.body, workspace);
      if (shape.rank == 2) continue;
      const Case ncl{shape, element, operation, Layout::Ncl, threads};
      register_case(ncl, name_of(Layout::Ncl), program.name, program.body, workspace);
    }
  }
}

int run_checked(int argc, char** argv, const Program& program) {
  const Options options = parse_options(argc, argv);
  if (options.list_shapes) {
    print_shapes();
    return 0;
  }
  std::vector<BenchShape> chosen(shapes.begin(), shapes.end());
  if (!options.shape.empty()) chosen = {parse_shape(options.shape)};
  const auto workspace = std::make_shared<Workspace>();
  for (const BenchShape& shape : chosen) {
    for (const Element element : options.elements) {
      if (std::ranges::find(program.elements, element) == program.elements.end()) continue;
      register_shape(shape, element, options, program, workspace);
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace

int run_program(int argc, char** argv, const Program& program) {
  try {
    return run_checked(argc, argv, program);
  } catch (const std::exception& error) {
    std::cerr << program.name << ": " << error.what() << '\n';
    return 1;
  }
}

}  // namespace halnorm::bench
