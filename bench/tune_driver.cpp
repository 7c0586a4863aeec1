// Times candidates for one kernel beside each other: shared objects that ./dev tune compiled,
// loaded into one process and called in turn on the same buffers. The first is the one to compare
// with.

#include <HalideRuntime.h>
#include <dlfcn.h>
#include <halnorm/halnorm.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "buffers.h"
#include "measure.h"
#include "shapes.h"

namespace halnorm::bench {
namespace {

/// Candidates may add in another order than the first; this has to catch wrong ones.
constexpr double tolerance = 1e-4;

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

/// Cheap numbers in [-1, 1) that repeat at no short distance.
double noise(std::size_t index) {
  std::uint64_t bits = (index + 1) * 0x9E3779B97F4A7C15ULL;
  bits ^= bits >> 29U;
  bits *= 0xD6E8FEB86659FD93ULL;
  return static_cast<double>(static_cast<std::int64_t>(bits) >> 32) * 0x1p-31;
}

/// One buffer argument: its memory, and its description for the kernel.
class Buffer {
 public:
  Buffer(const halide_filter_argument_t& argument, const BenchShape& shape)
      : type_(argument.type), positive_(is_positive(argument.name)) {
    std::vector<std::int64_t> extents{shape.c};
    if (argument.dimensions == 2) extents = {shape.c, shape.n * shape.l};
    if (argument.dimensions == 3) extents = {shape.l, shape.c, shape.n};
    std::int64_t stride = 1;
    for (const std::int64_t extent : extents) {
      axes_.emplace_back(0, static_cast<std::int32_t>(extent), static_cast<std::int32_t>(stride));
      stride *= extent;
    }
    size_ = static_cast<std::size_t>(stride);
    memory_ = std::make_unique<Memory>(size_ * static_cast<std::size_t>(type_.bytes()));
    buffer_.host = reinterpret_cast<std::uint8_t*>(memory_->data());
    buffer_.type = type_;
    buffer_.dimensions = argument.dimensions;
    buffer_.dim = axes_.data();
  }

  void* argument() { return &buffer_; }
  void spoil() { std::memset(memory_->data(), 0xFF, size_ * bytes()); }

  void fill() {
    for (std::size_t i = 0; i < size_; ++i) set(i, positive_ ? 1.5 + noise(i) : noise(i));
  }

  [[nodiscard]] std::vector<double> values() const {
    std::vector<double> all(size_);
    for (std::size_t i = 0; i < size_; ++i) all[i] = get(i);
    return all;
  }

 private:
  static bool is_positive(std::string_view name) {
    return name == "running_var" || name == "invstd" || name == "m2";
  }

  [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(type_.bytes()); }

  void set(std::size_t index, double value) {
    const auto narrow = static_cast<float>(value);
    std::uint16_t half = cut_to_bf16(narrow);
    if (type_.code == halide_type_float) half = cut_to_f16(narrow);
    const void* from = &half;
    if (bytes() == 4) from = &narrow;
    if (bytes() == 8) from = &value;
    std::memcpy(memory_->data() + index * bytes(), from, bytes());
  }

  [[nodiscard]] double get(std::size_t index) const {
    const std::byte* at = memory_->data() + index * bytes();
    double value = 0;
    float narrow = 0;
    std::uint16_t half = 0;
    switch (bytes()) {
      case 8:
        std::memcpy(&value, at, sizeof value);
        return value;
      case 4:
        std::memcpy(&narrow, at, sizeof narrow);
        return static_cast<double>(narrow);
      default:
        std::memcpy(&half, at, sizeof half);
        narrow = type_.code == halide_type_float ? from_f16(half) : from_bf16(half);
        return static_cast<double>(narrow);
    }
  }

  halide_type_t type_;
  bool positive_;
  std::size_t size_ = 0;
  std::vector<halide_dimension_t> axes_;
  std::unique_ptr<Memory> memory_;
  halide_buffer_t buffer_{};
};

/// The arguments of a kernel as its metadata describes them, and the results of the last call.
class Arguments {
 public:
  Arguments(const halide_filter_metadata_t& metadata, const BenchShape& shape) {
    const std::map<std::string_view, double> known{
        {"eps", 1e-5}, {"factor", 0.1}, {"count", static_cast<double>(shape.per_channel())}};
    for (int i = 0; i < metadata.num_arguments; ++i) {
      const halide_filter_argument_t& argument = metadata.arguments[i];
      if (argument.kind == halide_argument_kind_input_scalar) {
        scalars_.push_back(std::make_unique<double>(known.at(argument.name)));
        pointers_.push_back(scalars_.back().get());
        continue;
      }
      buffers_.push_back(std::make_unique<Buffer>(argument, shape));
      pointers_.push_back(buffers_.back()->argument());
      if (argument.kind == halide_argument_kind_output_buffer) {
        outputs_.push_back(buffers_.back().get());
      } else {
        buffers_.back()->fill();
      }
    }
  }

  void call(const Candidate& candidate) {
    if (candidate.call(pointers_.data()) != 0) {
      throw std::runtime_error(candidate.path + " failed: " + last_error);
    }
  }

  std::vector<double> results(const Candidate& candidate) {
    for (Buffer* output : outputs_) output->spoil();
    call(candidate);
    std::vector<double> all;
    for (const Buffer* output : outputs_) {
      const auto values = output->values();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

 private:
  std::vector<void*> pointers_;
  std::vector<std::unique_ptr<double>> scalars_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::vector<Buffer*> outputs_;
};

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

/// One line for each candidate: its path, ns of the fastest and of the median sample, and how far
/// its results are from the first's.
void run(const Options& options) {
  std::vector<Candidate> candidates;
  for (const auto& path : options.libraries) candidates.push_back(load(path));
  Arguments arguments(*candidates.front().metadata, options.shape);
  prepare_runtime(options.threads);
  const auto wanted = arguments.results(candidates.front());
  const auto caller = [&](const Candidate& candidate) {
    return [&arguments, &candidate] { arguments.call(candidate); };
  };
  using Call = decltype(caller(candidates.front()));
  std::vector<Sampler<Call>> samplers;
  std::vector<double> distances;
  for (const Candidate& candidate : candidates) {
    distances.push_back(distance(arguments.results(candidate), wanted));
    if (!(distances.back() <= tolerance)) {
      throw std::runtime_error(candidate.path + " gives other results");
    }
    samplers.emplace_back(caller(candidate));
  }
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
              << '\t' << distances[i] << '\n';
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
