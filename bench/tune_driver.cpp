// Times candidates for one kernel beside each other: shared objects that ./dev tune compiled,
// loaded into one process and called in turn on the same buffers. The first is the one to compare
// with.

#include <HalideRuntime.h>
#include <dlfcn.h>
#include <halnorm/halnorm.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernel_arguments.h"
#include "measure.h"
#include "shapes.h"

namespace halnorm::bench {
namespace {

constexpr const char* function_name = "candidate";

struct Options {
  BenchShape shape{};
  int threads = 1;
  double seconds = 0.05;  ///< for each candidate
  std::vector<std::string> libraries;
};

std::string last_error;

/// Halide's own handler ends the process.
void keep_error(void*, const char* message) { last_error = message; }

/// Makes Halide's runtime what it is under the library: the first call sets how tasks are run.
void prepare_runtime(int threads) {
  set_num_threads(threads);
  nn::BatchNorm1d module(1);
  module(Tensor::ones({2, 1}));
  halide_set_error_handler(&keep_error);
}

struct Candidate {
  std::string path;
  int (*call)(void**) = nullptr;
  const halide_filter_metadata_t* metadata = nullptr;
};

template <class Function>
Function symbol(void* library, const std::string& name) {
  void* found = dlsym(library, name.c_str());
  if (found == nullptr) throw std::runtime_error("no " + name + ": " + dlerror());
  return reinterpret_cast<Function>(found);
}

Candidate load(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(std::string("cannot load: ") + dlerror());
  using Metadata = const halide_filter_metadata_t* (*)();
  const std::string name = function_name;
  return {path, symbol<int (*)(void**)>(library, name + "_argv"),
          symbol<Metadata>(library, name + "_metadata")()};
}

void call(const Candidate& candidate, KernelArguments& arguments) {
  if (candidate.call(arguments.argv()) != 0) {
    throw std::runtime_error(candidate.path + ": " + last_error);
  }
}

std::vector<double> results(const Candidate& candidate, KernelArguments& arguments) {
  arguments.spoil_outputs();
  call(candidate, arguments);
  return arguments.outputs();
}

/// The largest difference, relative to 1 + the value; NaN counts as infinite.
double distance(const std::vector<double>& got, const std::vector<double>& wanted) {
  double largest = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double off = std::abs(got[i] - wanted[i]) / (1 + std::abs(wanted[i]));
    largest = off <= largest ? largest : off;
    if (std::isnan(off)) return INFINITY;
  }
  return largest;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// Those that work as the first does; says on stderr what is wrong with the others.
std::vector<Candidate> working(const std::vector<Candidate>& candidates,
                               KernelArguments& arguments) {
  const auto wanted = results(candidates.front(), arguments);
  std::vector<Candidate> good;
  for (const Candidate& candidate : candidates) {
    try {
      const double off = distance(results(candidate, arguments), wanted);
      if (off <= arguments.tolerance()) {
        good.push_back(candidate);
      } else {
        std::cerr << candidate.path << ": other results, by " << off << '\n';
      }
    } catch (const std::runtime_error& error) {
      std::cerr << error.what() << '\n';
    }
  }
  if (good.empty()) throw std::runtime_error("the first candidate fails");
  return good;
}

/// One line for each candidate that works: its path, and ns of the fastest and the median sample.
void run(const Options& options) {
  std::vector<Candidate> candidates;
  for (const auto& path : options.libraries) candidates.push_back(load(path));
  KernelArguments arguments(*candidates.front().metadata, options.shape);
  prepare_runtime(options.threads);
  candidates = working(candidates, arguments);
  const auto caller = [&](const Candidate& candidate) {
    return [&arguments, &candidate] { call(candidate, arguments); };
  };
  using Call = decltype(caller(candidates.front()));
  std::vector<Sampler<Call>> samplers;
  for (const Candidate& candidate : candidates) samplers.emplace_back(caller(candidate));
  std::vector<std::vector<double>> samples(candidates.size());
  const double seconds = options.seconds * static_cast<double>(candidates.size());
  for (double spent = 0; spent < seconds || samplers.front().samples() < fewest_samples;) {
    for (std::size_t i = 0; i < samplers.size(); ++i) {
      const double sample = samplers[i].sample();
      samples[i].push_back(sample / samplers[i].repeats() * 1e9);
      spent += sample;
    }
  }
  for (std::size_t i = 0; i < samplers.size(); ++i) {
    std::cout << candidates[i].path << '\t' << samplers[i].best_ns() << '\t' << median(samples[i])
              << '\n';
  }
}

template <class Number>
Number number(const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ptr != end || parsed.ec != std::errc()) {
    throw std::invalid_argument("not a number: '" + text + "'");
  }
  return value;
}

/// tune_driver N C L THREADS SECONDS LIBRARY...
Options parse(const std::vector<std::string>& words) {
  if (words.size() < 6) throw std::invalid_argument("wants: N C L THREADS SECONDS LIBRARY...");
  Options options;
  options.shape = ncl(number<std::int64_t>(words[0]), number<std::int64_t>(words[1]),
                      number<std::int64_t>(words[2]), false, "");
  options.threads = number<int>(words[3]);
  options.seconds = number<double>(words[4]);
  options.libraries.assign(words.begin() + 5, words.end());
  return options;
}

}  // namespace
}  // namespace halnorm::bench

int main(int argc, char** argv) {
  try {
    halnorm::bench::run(halnorm::bench::parse({argv + 1, argv + argc}));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "tune_driver: " << error.what() << '\n';
    return 1;
  }
}
