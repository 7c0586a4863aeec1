// Calls between the parallel regions of a host that computes with OpenMP: with halnorm's own pool,
// with the host's threads, and with one thread. Each way is measured in turn; of a step (a region
// of the host's, a training call, a region, its backward) the minimum and the median are printed.

#include <halnorm/halnorm.h>
#include <halnorm/openmp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <vector>

namespace {

namespace F = halnorm::functional;
using halnorm::Shape;
using halnorm::Tensor;

/// What the host does: about as long as the call, on all of OpenMP's threads.
void host_region(std::vector<float>& values) {
  const auto count = static_cast<std::int64_t>(values.size());
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < count; ++i) {
    values[static_cast<std::size_t>(i)] = std::sqrt(values[static_cast<std::size_t>(i)] + 1.0F);
  }
}

struct Step {
  explicit Step(const Shape& shape)
      : x(Tensor::randn(shape, 1)),
        dy(Tensor::randn(shape, 2)),
        y(Tensor::empty(shape)),
        dx(Tensor::empty(shape)),
        values(static_cast<std::size_t>(x.numel())) {}

  double run() {
    const auto start = std::chrono::steady_clock::now();
    host_region(values);
    const auto forward = F::batch_norm_train(x, {}, {}, 1e-5, y);
    host_region(values);
    F::batch_norm_backward(dy, x, {}, forward.mean, forward.invstd, dx);
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
        .count();
  }

  Tensor x, dy, y, dx;
  std::vector<float> values;
};

struct Way {
  const char* name;
  void (*choose)();
  std::vector<double> times = {};  // NOLINT(readability-redundant-member-init): a warning of GCC
};

void measure(const Shape& shape, int rounds) {
  Step step(shape);
  Way ways[] = {
      {"pool", [] { halnorm::set_parallel_for({}); }},
      {"use_openmp", [] { halnorm::use_openmp(); }},
      {"one thread", [] { halnorm::set_num_threads(1); }},
  };
  constexpr int warm = 3;
  constexpr int steps = 10;
  for (int round = 0; round < rounds; ++round) {
    for (Way& way : ways) {
      halnorm::set_num_threads(0);
      way.choose();
      for (int i = 0; i < warm + steps; ++i) {
        const double time = step.run();
        if (i >= warm) {
          way.times.push_back(time);
        }
      }
    }
  }
  std::printf("%8lld KB", static_cast<long long>(step.x.numel() * 4 / 1024));
  for (Way& way : ways) {
    std::ranges::sort(way.times);
    std::printf("  %s %9.1f %9.1f", way.name, way.times.front(), way.times[way.times.size() / 2]);
  }
  std::printf("\n");
}

}  // namespace

int main() {
  try {
    std::printf("us of a step: minimum, median\n");
    measure({128, 256}, 60);
    measure({32, 64, 64}, 60);
    measure({1024, 256}, 60);
    measure({32, 64, 784}, 30);
    measure({64, 256, 784}, 8);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "host_threads: %s\n", error.what());
    return 1;
  }
}
