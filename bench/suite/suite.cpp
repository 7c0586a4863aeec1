#include "suite.h"

#include <algorithm>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace halnorm::bench {
namespace {

using Options = std::map<std::string, std::string>;

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

/// Whole numbers from 1 up. @throws std::invalid_argument
std::vector<std::int64_t> numbers(const std::string& text, char separator) {
  std::vector<std::int64_t> all;
  for (const auto& word : split(text, separator)) {
    std::size_t used = 0;
    all.push_back(std::stoll(word, &used));
    if (used != word.size() || all.back() < 1) {
      throw std::invalid_argument("wants numbers from 1 up, got '" + text + "'");
    }
  }
  return all;
}

/// Takes our own arguments out of argv, so that the rest is Google Benchmark's.
Options take_options(int& argc, char** argv) {
  Options options;
  const auto is_ours = [&options](const std::string& word) {
    const auto equals = std::min(word.find('='), word.size());
    const std::string name = word.substr(0, equals);
    const bool ours =
        name == "--shapes" || name == "--shape" || name == "--dtypes" || name == "--threads";
    if (ours) options[name] = word.substr(std::min(equals + 1, word.size()));
    return ours;
  };
  argc = static_cast<int>(std::remove_if(argv + 1, argv + argc, is_ours) - argv);
  return options;
}

std::vector<BenchShape> shapes_of(const Options& options) {
  if (!options.contains("--shape")) return {shapes.begin(), shapes.end()};
  const std::string& name = options.at("--shape");
  const auto* const known = std::ranges::find(shapes, name, &BenchShape::name);
  if (known != shapes.end()) return {*known};
  const auto extents = numbers(name, 'x');
  if (extents.size() == 2) return {nc(extents[0], extents[1], false, "asked for")};
  if (extents.size() == 3) return {ncl(extents[0], extents[1], extents[2], false, "asked for")};
  throw std::invalid_argument("--shape wants NxC or NxCxL, got '" + name + "'");
}

std::vector<std::int64_t> threads_of(const Options& options) {
  if (options.contains("--threads")) return numbers(options.at("--threads"), ',');
  const std::int64_t cores = std::thread::hardware_concurrency();
  return cores > 1 ? std::vector<std::int64_t>{1, cores} : std::vector<std::int64_t>{1};
}

void print_shapes() {
  for (const BenchShape& s : shapes) {
    std::cout << s.name() << '\t' << s.n << '\t' << s.c << '\t' << s.l << '\t' << s.rank << '\t'
              << (s.quick ? "quick" : "full") << '\t' << s.reason << '\n';
  }
}

/// Holds the buffers of one shape and dtype.
using Workspace = std::unique_ptr<Problem>;

void register_case(const Case& item, const std::string& dtype, const Series& series,
                   const std::shared_ptr<Workspace>& workspace) {
  std::ostringstream name;
  name << item.info.name << '/' << (series.any_layout ? "any" : name_of(item.layout)) << '/'
       << dtype << '/' << item.shape.name() << "/threads:" << item.threads << '/' << series.name;
  benchmark::RegisterBenchmark(name.str().c_str(), [=, body = series.body](auto& state) {
    Workspace& problem = *workspace;
    if (!problem || problem->shape().name() != item.shape.name() ||
        problem->dtype() != item.dtype) {
      problem.reset();
      problem = std::make_unique<Problem>(item.shape, item.dtype);
    }
    body(state, item, *problem);
  })->UseManualTime();
}

void register_shape(const BenchShape& shape, const std::string& dtype, DType type,
                    const Options& options, const std::vector<Series>& all,
                    const std::shared_ptr<Workspace>& workspace) {
  for (const OperationInfo& info : operations) {
    for (const std::int64_t threads : threads_of(options)) {
      for (const Layout layout : {Layout::Nlc, Layout::Ncl}) {
        const Case item{shape, type, info, layout, static_cast<int>(threads)};
        for (const Series& series : all) {
          const bool again = layout == Layout::Ncl && (shape.rank == 2 || series.any_layout);
          if (!again && series.has(info, type)) register_case(item, dtype, series, workspace);
        }
      }
    }
  }
}

int run_checked(int argc, char** argv, const std::vector<Series>& all) {
  const Options options = take_options(argc, argv);
  if (options.contains("--shapes")) {
    print_shapes();
    return 0;
  }
  const auto wanted = split(options.contains("--dtypes") ? options.at("--dtypes") : "f32", ',');
  const auto workspace = std::make_shared<Workspace>();
  for (const BenchShape& shape : shapes_of(options)) {
    for (const auto& [name, type] : dtypes) {
      if (std::ranges::find(wanted, name) == wanted.end()) continue;
      register_shape(shape, std::string(name), type, options, all, workspace);
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace

int run_program(int argc, char** argv, const std::vector<Series>& all) {
  try {
    return run_checked(argc, argv, all);
  } catch (const std::exception& error) {
    std::cerr << all.front().name << ": " << error.what() << '\n';
    return 1;
  }
}

}  // namespace halnorm::bench
