// The split and the fused operations: each beside the floor, which moves the same memory; the two
// halves beside the whole; and a fused operation beside the calls that it replaces. What is
// compared runs in turn on the same buffers, and the minimum of each counts.

#include <benchmark/benchmark.h>
#include <halnorm/halnorm.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "memory_loops.h"
#include "thread_team.h"

namespace halnorm::bench {
namespace {

namespace F = functional;
constexpr double eps = 1e-5;

using Call = std::function<void()>;

/// The minimum of each call, in seconds; they run in turn.
std::vector<double> minima_of(const std::vector<Call>& calls, double seconds) {
  std::vector<double> best(calls.size(), std::numeric_limits<double>::infinity());
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  for (int round = 0; round < 5 || std::chrono::steady_clock::now() < end; ++round) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const auto start = std::chrono::steady_clock::now();
      calls[i]();
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
      best[i] = std::min(best[i], taken.count());
    }
  }
  return best;
}

/// The tensors of one shape, all of one layout.
struct Data {
  Tensor x, dy, addend, out, other, weight, bias, mean, invstd, running_mean, running_var;
  Tensor sum_dy, sum_dy_xmu, count;

  Data(const Shape& shape, bool channels_last)
      : x(like(shape, channels_last, 1)),
        dy(like(shape, channels_last, 2)),
        addend(like(shape, channels_last, 3)),
        out(like(shape, channels_last, 4)),
        other(like(shape, channels_last, 5)),
        weight(Tensor::randn({shape[1]}, 6)),
        bias(Tensor::randn({shape[1]}, 7)),
        running_mean(Tensor::zeros({shape[1]})),
        running_var(Tensor::ones({shape[1]})) {
    const auto forward = F::batch_norm_train(x, weight, bias, eps, out);
    mean = forward.mean;
    invstd = forward.invstd;
    const auto sums = F::batch_norm_backward_reduce(dy, x, mean, invstd, weight);
    sum_dy = sums.sum_dy;
    sum_dy_xmu = sums.sum_dy_xmu;
    count = F::batch_norm_moments(x).count;
  }

  static Tensor like(const Shape& shape, bool channels_last, std::uint64_t seed) {
    if (!channels_last) {
      return Tensor::randn(shape, seed);
    }
    return Tensor::randn({shape[0], shape[2], shape[1]}, seed).transpose(1, 2);
  }
};

Word* words(const Tensor& t) { return static_cast<Word*>(t.raw_data()); }
float* floats(const Tensor& t) { return static_cast<float*>(t.raw_data()); }

/// A loop over the elements, a part for each member of the team.
template <class Loop>
Call in_parts(ThreadTeam& team, const Tensor& like, Loop loop) {
  const auto total = static_cast<std::size_t>(like.numel());
  return [&team, total, loop] {
    const auto members = static_cast<std::size_t>(team.size());
    const std::size_t share = (total / members + 15) / 16 * 16;
    team.run([&](int member) {
      const std::size_t begin = std::min(total, static_cast<std::size_t>(member) * share);
      loop(begin, std::min(share, total - begin));
    });
  };
}

/// Memory that an operation moves at least: reads first, then reads and writes.
struct Floor {
  std::vector<Tensor> summed;  ///< read by the first pass
  std::vector<Tensor> read;    ///< read by the second
  std::vector<Tensor> written;
};

/// The floor, written in one of two ways.
Call floor_call(ThreadTeam& team, const Floor& f, Store store) {
  return in_parts(
      team, f.summed.empty() ? f.read.front() : f.summed.front(),
      [f, store](std::size_t begin, std::size_t count) {
        Word sum = 0;
        for (std::size_t i = 0; i + 1 < f.summed.size(); i += 2) {
          sum += read_both(words(f.summed[i]) + begin, words(f.summed[i + 1]) + begin, count);
        }
        if (f.summed.size() % 2 == 1) {
          sum += read_all(words(f.summed.back()) + begin, count);
        }
        const bool both = f.read.size() >= 2;
        if (both) {
          add(words(f.read[0]) + begin, words(f.read[1]) + begin, words(f.written[0]) + begin,
              count, store);
        }
        for (std::size_t i = both ? 2 : 0; i < f.read.size(); ++i) {
          copy(words(f.read[i]) + begin, words(f.written[both ? i - 1 : i]) + begin, count, store);
        }
        benchmark::DoNotOptimize(sum);
      });
}

Call add_relu(ThreadTeam& team, const Data& d) {
  const float* addend = floats(d.addend);
  float* y = floats(d.out);
  return in_parts(team, d.out, [=](std::size_t begin, std::size_t count) {
    for (std::size_t i = begin; i < begin + count; ++i) {
      const float sum = y[i] + addend[i];
      y[i] = sum > 0 ? sum : 0;
    }
  });
}

/// dz = dy where y > 0.
Call relu_backward(ThreadTeam& team, const Data& d) {
  const float* dy = floats(d.dy);
  const float* y = floats(d.addend);
  float* dz = floats(d.other);
  return in_parts(team, d.out, [=](std::size_t begin, std::size_t count) {
    for (std::size_t i = begin; i < begin + count; ++i) {
      const float gradient = dy[i];  // read in any case: without a branch
      dz[i] = y[i] > 0 ? gradient : 0;
    }
  });
}

struct Operation {
  const char* name;
  Floor floor;
  Call call;
  Call replaced;  ///< what a fused operation replaces; empty for others
};

// NOLINTNEXTLINE(readability-function-size): a list
std::vector<Operation> operations(const Data& d, ThreadTeam& team) {
  const Call add_and_relu = add_relu(team, d);
  const Call mask = relu_backward(team, d);
  return {
      {"moments", {{d.x}, {}, {}}, [&d] { F::batch_norm_moments(d.x); }, {}},
      {"elemt",
       {{}, {d.x}, {d.out}},
       [&d] { F::batch_norm_elemt(d.x, d.weight, d.bias, d.mean, d.invstd, d.out); },
       {}},
      {"training",
       {{d.x}, {d.x}, {d.out}},
       [&d] { F::batch_norm_train(d.x, d.weight, d.bias, eps, d.out); },
       {}},
      {"backward_reduce",
       {{d.dy, d.x}, {}, {}},
       [&d] { F::batch_norm_backward_reduce(d.dy, d.x, d.mean, d.invstd, d.weight); },
       {}},
      {"backward_elemt",
       {{}, {d.dy, d.x}, {d.out}},
       [&d] {
         F::batch_norm_backward_elemt(d.dy, d.x, d.mean, d.invstd, d.weight, d.sum_dy, d.sum_dy_xmu,
                                      d.count, d.out);
       },
       {}},
      {"backward",
       {{d.dy, d.x}, {d.dy, d.x}, {d.out}},
       [&d] { F::batch_norm_backward(d.dy, d.x, d.weight, d.mean, d.invstd, d.out); },
       {}},
      {"fused training",
       {{d.x}, {d.x, d.addend}, {d.out}},
       [&d] { F::batch_norm_fused_train(d.x, d.addend, d.weight, d.bias, eps, d.out); },
       [&d, add_and_relu] {
         F::batch_norm_train(d.x, d.weight, d.bias, eps, d.out);
         add_and_relu();
       }},
      {"fused inference",
       {{}, {d.x, d.addend}, {d.out}},
       [&d] {
         F::batch_norm_fused_infer(d.x, d.addend, d.running_mean, d.running_var, d.weight, d.bias,
                                   eps, d.out);
       },
       [&d, add_and_relu] {
         F::batch_norm_infer(d.x, d.running_mean, d.running_var, d.weight, d.bias, eps, d.out);
         add_and_relu();
       }},
      {"fused backward",
       {{d.dy, d.x, d.addend}, {d.dy, d.x, d.addend}, {d.out, d.other}},
       [&d] { F::batch_norm_fused_backward(d.dy, d.x, d.addend, d.weight, d.mean, d.invstd); },
       [&d, mask] {
         mask();
         F::batch_norm_backward(d.other, d.x, d.weight, d.mean, d.invstd, d.out);
       }},
  };
}

/// A row of the table: microseconds, the floor over them, and the replaced calls over them.
double print_row(const std::string& where, const Operation& o, ThreadTeam& team, double seconds) {
  std::vector<Call> calls{o.call, floor_call(team, o.floor, Store::Plain),
                          floor_call(team, o.floor, Store::Streaming)};
  if (o.replaced) {
    calls.push_back(o.replaced);
  }
  const std::vector<double> best = minima_of(calls, seconds);
  std::printf("| %s | %s | %.1f | %.2f | ", where.c_str(), o.name, best[0] * 1e6,
              std::min(best[1], best[2]) / best[0]);
  if (o.replaced) {
    std::printf("%.2f", best[3] / best[0]);
  }
  std::printf(" |\n");
  std::fflush(stdout);
  return best[0];
}

void measure(const Shape& shape, bool channels_last, int threads, double seconds) {
  set_num_threads(threads);
  ThreadTeam team(threads);
  const Data data(shape, channels_last);
  std::string where = "(";
  for (const std::int64_t extent : shape) {
    where += (where.size() == 1 ? "" : ", ") + std::to_string(extent);
  }
  where += shape.size() == 2 ? ")" : channels_last ? ") NLC" : ") NCL";
  where += ", " + std::to_string(threads);
  std::vector<double> taken;
  for (const Operation& o : operations(data, team)) {
    taken.push_back(print_row(where, o, team, seconds));
  }
  std::printf("| %s | halves over whole, forward | | | %.2f |\n", where.c_str(),
              (taken[0] + taken[1]) / taken[2]);
  std::printf("| %s | halves over whole, backward | | | %.2f |\n", where.c_str(),
              (taken[3] + taken[4]) / taken[5]);
}

}  // namespace
}  // namespace halnorm::bench

int main(int argc, char** argv) {
  using namespace halnorm::bench;
  try {
    const double seconds = argc > 1 ? std::stod(argv[1]) : 0.3;
    std::puts("| shape, threads | operation | us | of floor | times |\n|---|---|---:|---:|---:|");
    for (const int threads : {1, 2}) {
      for (const halnorm::Shape& shape : std::vector<halnorm::Shape>{
               {128, 1024}, {4096, 256}, {160000, 256}, {64, 64, 1250}, {256, 64, 4096}}) {
        measure(shape, false, threads, seconds);
        if (shape.size() == 3) {
          measure(shape, true, threads, seconds);
        }
      }
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forms: %s\n", error.what());
    return 1;
  }
}
