// Times the kernels on a device, beside a copy on it: one line of JSON per shape, layout, dtype and
// operation. Calls are queued back to back and waited for once, as an engine would; buffers are
// allocated before, and the median of several such runs is given with the spread.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "../shapes.h"
#include "halnorm/halnorm.h"

namespace {

namespace F = halnorm::functional;
using halnorm::Device;
using halnorm::DType;
using halnorm::Tensor;
using halnorm::bench::BenchShape;
using Clock = std::chrono::steady_clock;

constexpr double eps = 1e-5;
constexpr int runs = 7;
constexpr double seconds_per_run = 0.05;

struct Times {
  double least, median, most;  ///< microseconds a call
};

double seconds_of(const std::function<void()>& call, int count, Device device) {
  halnorm::synchronize(device);
  const auto start = Clock::now();
  for (int i = 0; i < count; ++i) {
    call();
  }
  halnorm::synchronize(device);
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Times time(const std::function<void()>& call, Device device) {
  seconds_of(call, 3, device);  // compiles, and fills the pool of memory
  const double once = seconds_of(call, 3, device) / 3;
  const int count = std::clamp(static_cast<int>(seconds_per_run / once), 1, 10000);
  std::vector<double> all;
  for (int i = 0; i < runs; ++i) {
    all.push_back(seconds_of(call, count, device) / count * 1e6);
  }
  std::sort(all.begin(), all.end());
  return {all.front(), all[all.size() / 2], all.back()};
}

/// A batch on the device, channels last if wanted.
Tensor batch(const BenchShape& s, bool channels_last, std::uint64_t seed, DType dtype,
             Device device) {
  if (s.rank == 2) {
    return Tensor::randn({s.n, s.c}, seed, dtype).to(device);
  }
  return channels_last ? Tensor::randn({s.n, s.l, s.c}, seed, dtype).to(device).transpose(1, 2)
                       : Tensor::randn({s.n, s.c, s.l}, seed, dtype).to(device);
}

void print(const BenchShape& s, const char* layout, DType dtype, const char* operation,
           const Times& t) {
  std::printf(
      "{\"shape\":\"%s\",\"layout\":\"%s\",\"dtype\":\"%s\",\"operation\":\"%s\",\"us\":%.3f,"
      "\"least\":%.3f,\"most\":%.3f,\"bytes\":%lld}\n",
      s.name().c_str(), layout, std::string(halnorm::name_of(dtype)).c_str(), operation, t.median,
      t.least, t.most,
      static_cast<long long>(s.numel()) * static_cast<long long>(halnorm::size_of(dtype)));
  std::fflush(stdout);
}

void measure(const BenchShape& s, bool channels_last, DType dtype, Device device) {
  const char* layout = channels_last ? "nlc" : "ncl";
  const Tensor x = batch(s, channels_last, 1, dtype, device);
  const Tensor dy = batch(s, channels_last, 2, dtype, device);
  const Tensor out = batch(s, channels_last, 3, dtype, device);
  const Tensor weight = Tensor::randn({s.c}, 4).to(device);
  const Tensor bias = Tensor::randn({s.c}, 5).to(device);
  const Tensor mean = Tensor::zeros({s.c}, DType::Float32, device);
  const Tensor var = Tensor::ones({s.c}, DType::Float32, device);
  const auto saved = F::batch_norm_train(x, weight, bias, eps, out);
  const Tensor flat_x = Tensor::empty({s.numel()}, dtype, device);
  Tensor flat_y = Tensor::empty({s.numel()}, dtype, device);
  const std::vector<std::pair<const char*, std::function<void()>>> calls = {
      {"copy", [&] { flat_y.copy_(flat_x); }},
      {"train", [&] { F::batch_norm_train(x, weight, bias, eps, out); }},
      {"infer", [&] { F::batch_norm_infer(x, mean, var, weight, bias, eps, out); }},
      {"backward", [&] { F::batch_norm_backward(dy, x, weight, saved.mean, saved.invstd, out); }}};
  for (const auto& [name, call] : calls) {
    print(s, layout, dtype, name, time(call, device));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Device device(argc > 1 ? argv[1] : "cuda:0");
  const bool quick = argc > 2 && std::strcmp(argv[2], "--quick") == 0;
  try {
    for (const DType dtype : {DType::Float32, DType::Float16, DType::BFloat16}) {
      for (const BenchShape& s : halnorm::bench::shapes) {
        if (quick && (!s.quick || s.numel() > 2000000)) {
          continue;
        }
        if (s.rank == 3) {
          measure(s, false, dtype, device);
        }
        measure(s, true, dtype, device);
      }
    }
  } catch (const halnorm::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
