// Times candidates for one kernel beside each other: shared objects that ./dev tune compiled,
// loaded into one process and called in turn on the same buffers. The first is the default.
//
//   halnorm_tune_driver N C L THREADS SECONDS LIBRARY...
//
// Prints a line for each candidate that works: its path, and the ns of its fastest sample.

#include <HalideRuntime.h>
#include <dlfcn.h>
#include <halnorm/halide.h>
#include <halnorm/halnorm.h>

#include <cmath>
#include <exception>
#include <functional>
#include <iostream>
#include <limits>
#include <list>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "../suite/measure.h"
#include "../suite/problem.h"

namespace halnorm::bench {
namespace {

std::string last_error;

/// Replaces Halide's own handler, which ends the process.
void keep_error(void*, const char* message) { last_error = message; }

/// The first call sets how Halide's runtime runs tasks.
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

/// @throws std::runtime_error, also if the library could not be loaded.
template <class Function>
Function symbol(void* library, const char* name) {
  void* found = library == nullptr ? nullptr : dlsym(library, name);
  if (found == nullptr) throw std::runtime_error(dlerror());
  return reinterpret_cast<Function>(found);
}

Candidate load(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  using Metadata = const halide_filter_metadata_t* (*)();
  return {path, symbol<int (*)(void**)>(library, "candidate_argv"),
          symbol<Metadata>(library, "candidate_metadata")()};
}

DType dtype_of(const halide_type_t& type) {
  for (const DType known :
       {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64, DType::Int64}) {
    if (detail::halide_type_of(known) == type) return known;
  }
  throw std::runtime_error("a buffer of an unknown dtype");
}

/// The arguments of any kernel, as its metadata describes them, on tensors of one shape.
class Arguments {
 public:
  Arguments(const halide_filter_metadata_t& metadata, const BenchShape& s) {
    const std::map<std::string, double> known{
        {"eps", 1e-5}, {"factor", 0.1}, {"count", static_cast<double>(s.per_channel())}};
    for (int i = 0; i < metadata.num_arguments; ++i) {
      const halide_filter_argument_t& a = metadata.arguments[i];
      if (a.kind == halide_argument_kind_input_scalar) {
        scalars_.push_back(known.at(a.name));
        pointers_.push_back(&scalars_.back());
        continue;
      }
      const std::vector<Shape> extents{{}, {s.c}, {s.n * s.l, s.c}, {s.n, s.c, s.l}};
      const Shape& own = extents.at(static_cast<std::size_t>(a.dimensions));
      const Tensor t = values(a.name, own, static_cast<std::uint64_t>(i)).to(dtype_of(a.type));
      buffers_.push_back(halide_buffer(t));
      tensors_.push_back(t);
      pointers_.push_back(buffers_.back().raw_buffer());
      if (a.kind == halide_argument_kind_output_buffer) outputs_.push_back(t);
    }
  }

  /// The outputs of a call. @throws std::runtime_error if the kernel reports an error.
  std::vector<double> results(const Candidate& candidate) {
    for (Tensor& t : outputs_) t.fill_(std::numeric_limits<double>::quiet_NaN());
    call(candidate);
    std::vector<double> all;
    for (const Tensor& t : outputs_) {
      const auto part = t.to_vector<double>();
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }

  void call(const Candidate& candidate) {
    if (candidate.call(pointers_.data()) != 0) {
      throw std::runtime_error(candidate.path + ": " + last_error);
    }
  }

  /// Whether the results are the wanted ones, except for the order of additions and the rounding.
  /// Prints the reason on stderr if not.
  bool agrees(const Candidate& candidate, const std::vector<double>& wanted) {
    const double tolerance = size_of(outputs_.front().dtype()) == 2 ? 1e-4 + 0x1p-6 : 1e-4;
    try {
      const auto got = results(candidate);
      for (std::size_t i = 0; i < got.size(); ++i) {
        // A NaN fails too.
        if (!(std::abs(got[i] - wanted[i]) <= tolerance * (1 + std::abs(wanted[i])))) {
          throw std::runtime_error(candidate.path + ": other results");
        }
      }
      return true;
    } catch (const std::runtime_error& error) {
      std::cerr << error.what() << '\n';
      return false;
    }
  }

 private:
  static Tensor values(const std::string& name, const Shape& extents, std::uint64_t seed) {
    const bool positive = name == "running_var" || name == "invstd" || name == "m2";
    return positive ? Tensor::full(extents, 1.5) : Tensor::randn(extents, seed);
  }

  std::list<double> scalars_;
  std::list<Halide::Runtime::Buffer<>> buffers_;
  std::vector<Tensor> tensors_, outputs_;
  std::vector<void*> pointers_;
};

void run(const std::vector<std::string>& words) {
  if (words.size() < 6) throw std::invalid_argument("wants: N C L THREADS SECONDS LIBRARY...");
  const BenchShape shape{std::stoll(words[0]), std::stoll(words[1]), std::stoll(words[2]), 3};
  std::vector<Candidate> candidates;
  for (std::size_t i = 5; i < words.size(); ++i) candidates.push_back(load(words[i]));
  Arguments arguments(*candidates.front().metadata, shape);
  prepare_runtime(std::stoi(words[3]));
  const auto wanted = arguments.results(candidates.front());
  std::erase_if(candidates, [&](const Candidate& c) { return !arguments.agrees(c, wanted); });
  if (candidates.empty()) throw std::runtime_error("the first candidate gives other results");
  std::vector<std::function<void()>> calls;
  for (const Candidate& candidate : candidates) {
    calls.emplace_back([&] { arguments.call(candidate); });
  }
  const double seconds = std::stod(words[4]) * static_cast<double>(candidates.size());
  const auto best = best_in_turn(calls, [&](const auto& sample_all) {
    for (double spent = 0; spent < seconds;) spent += sample_all();
  });
  for (std::size_t i = 0; i < best.size(); ++i) {
    std::cout << candidates[i].path << '\t' << best[i] << '\n';
  }
}

}  // namespace
}  // namespace halnorm::bench

int main(int argc, char** argv) {
  try {
    halnorm::bench::run({argv + 1, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "tune_driver: " << error.what() << '\n';
    return 1;
  }
}
