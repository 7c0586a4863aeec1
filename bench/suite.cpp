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
  std::vector<int> threads;
};

std::optional<std::string_view> value_of(std::string_view argument, std::string_view option) {
  if (!argument.starts_with(option)) return std::nullopt;
  return argument.substr(option.size());
}

std::vector<int> parse_threads(std::string_view list) {
  std::vector<int> threads;
  std::istringstream stream{std::string(list)};
  for (std::string item; std::getline(stream, item, ',');) {
    int count = 0;
    const char* end = item.data() + item.size();
    const auto parsed = std::from_chars(item.data(), end, count);
    if (parsed.ptr != end || parsed.ec != std::errc() || count < 1) {
      throw std::invalid_argument("--threads wants numbers from 1 up, got '" + item + "'");
    }
    threads.push_back(count);
  }
  return threads;
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
  Problem& problem(const BenchShape& shape) {
    if (!problem_ || problem_->shape().name() != shape.name()) {
      problem_.reset();
      problem_ = std::make_unique<Problem>(shape);
    }
    return *problem_;
  }

 private:
  std::unique_ptr<Problem> problem_;
};

void register_case(const Case& item, std::string_view layout, const std::string& program,
                   const CaseBody& body, const std::shared_ptr<Workspace>& workspace) {
  std::ostringstream name;
  name << name_of(item.operation) << '/' << layout << '/' << item.shape.name()
       << "/threads:" << item.threads << '/' << program;
  benchmark::RegisterBenchmark(name.str().c_str(), [=](benchmark::State& state) {
    body(state, item, workspace->problem(item.shape));
  })->UseManualTime();
}

void register_shape(const BenchShape& shape, const Options& options, const Program& program,
                    const std::shared_ptr<Workspace>& workspace) {
  for (const Operation operation : operations) {
    for (const int threads : options.threads) {
      const Case nlc{shape, operation, Layout::Nlc, threads};
      if (program.floor) register_case(nlc, "any", "floor", program.floor, workspace);
      register_case(nlc, name_of(Layout::Nlc), program.name, program.body, workspace);
      if (shape.rank == 2) continue;
      const Case ncl{shape, operation, Layout::Ncl, threads};
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
  const auto workspace = std::make_shared<Workspace>();
  bool found = false;
  for (const BenchShape& shape : shapes) {
    if (!options.shape.empty() && options.shape != shape.name()) continue;
    register_shape(shape, options, program, workspace);
    found = true;
  }
  if (!found) throw std::invalid_argument("no shape named '" + options.shape + "'; see --shapes");
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
