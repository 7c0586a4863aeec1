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

/// The positive integers in the text. @throws std::invalid_argument
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
  const auto cores = std::to_string(std::thread::hardware_concurrency());
  Options options{{"--shape", ""},
                  {"--dtypes", "f32"},
                  {"--threads", cores == "1" ? cores : "1," + cores},
                  {"--device", "cpu"}};
  const auto is_ours = [&options](const std::string& word) {
    const auto equals = std::min(word.find('='), word.size());
    const auto found = options.find(word.substr(0, equals));
    if (found == options.end()) return false;
    found->second = word.substr(std::min(equals + 1, word.size()));
    return true;
  };
  argc = static_cast<int>(std::remove_if(argv + 1, argv + argc, is_ours) - argv);
  return options;
}

BenchShape shape_of(const std::string& name) {
  const auto extents = numbers(name, 'x');
  if (extents.size() == 2) return {extents[0], extents[1], 1, 2};
  if (extents.size() == 3) return {extents[0], extents[1], extents[2], 3};
  throw std::invalid_argument("--shape wants NxC or NxCxL, got '" + name + "'");
}

/// Holds the buffers of one shape and dtype.
using Workspace = std::shared_ptr<std::unique_ptr<Problem>>;

void register_case(const Case& item, const Series& series, const Workspace& workspace) {
  std::ostringstream name;
  name << item.info.name << '/' << (series.any_layout ? "any" : name_of(item.layout)) << '/'
       << item.dtype_name << '/' << item.shape.name() << "/threads:" << item.threads << '/'
       << series.name;
  benchmark::RegisterBenchmark(name.str().c_str(), [=, body = series.body](auto& state) {
    auto& problem = *workspace;
    if (!problem || problem->shape().name() != item.shape.name() ||
        problem->dtype() != item.dtype) {
      problem.reset();
      problem = std::make_unique<Problem>(item.shape, item.dtype, item.device);
    }
    body(state, item, *problem);
  })->UseManualTime();
}

/// `item` has the shape, the dtype and the device.
void register_shape(Case item, const Options& options, const std::vector<Series>& all,
                    const Workspace& workspace) {
  for (const OperationInfo& info : operations) {
    for (const std::int64_t threads : numbers(options.at("--threads"), ',')) {
      for (const Layout layout : {Layout::Nlc, Layout::Ncl}) {
        item.info = info;
        item.threads = static_cast<int>(threads);
        item.layout = layout;
        for (const Series& series : all) {
          const bool again = layout == Layout::Ncl && (item.shape.rank == 2 || series.any_layout);
          if (!again && series.has(item)) register_case(item, series, workspace);
        }
      }
    }
  }
}

void register_all(const Options& options, const std::vector<Series>& all) {
  const auto wanted = split(options.at("--dtypes"), ',');
  const auto workspace = std::make_shared<std::unique_ptr<Problem>>();
  for (const auto& [name, type] : dtypes) {
    if (std::ranges::find(wanted, name) == wanted.end()) continue;
    for (const std::string& shape : split(options.at("--shape"), ',')) {
      const Device device(options.at("--device"));
      register_shape({shape_of(shape), type, name, device}, options, all, workspace);
    }
  }
}

}  // namespace

int run_benchmarks(int& argc, char** argv, const std::function<void()>& add) {
  try {
    add();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
}

int run_program(int argc, char** argv, const std::vector<Series>& all) {
  return run_benchmarks(argc, argv, [&] { register_all(take_options(argc, argv), all); });
}

}  // namespace halnorm::bench
