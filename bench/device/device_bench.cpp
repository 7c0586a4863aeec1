// Times the kernels on a device, beside a copy on it: one line of JSON per shape, layout, dtype and
// operation. Buffers are allocated before.

#include <cstdio>
#include <cstring>
#include <string>

#include "halnorm/halnorm.h"
#include "timing.h"

namespace {

namespace F = halnorm::functional;
using halnorm::Device;
using halnorm::DType;
using halnorm::Tensor;
using halnorm::bench::Batch;
using halnorm::bench::BenchShape;

constexpr double eps = 1e-5;

/// Memory for the largest shape, on the device; the others take its beginning.
struct Memory {
  Tensor x, dy, out;

  Memory(std::int64_t elements, DType dtype, Device device)
      : x(Tensor::randn({elements}, 1, dtype).to(device)),
        dy(x.clone()),
        out(Tensor::empty({elements}, dtype, device)) {}
};

/// A batch in the given memory, channels last if wanted.
Tensor batch(const Tensor& memory, const BenchShape& s, bool channels_last) {
  const Tensor flat = memory.narrow(0, 0, s.numel());
  if (s.rank == 2) {
    return flat.reshape({s.n, s.c});
  }
  return channels_last ? flat.reshape({s.n, s.l, s.c}).transpose(1, 2)
                       : flat.reshape({s.n, s.c, s.l});
}

void measure(const BenchShape& s, bool channels_last, const Memory& memory) {
  const Device device = memory.x.device();
  const DType dtype = memory.x.dtype();
  const Tensor x = batch(memory.x, s, channels_last);
  const Tensor dy = batch(memory.dy, s, channels_last);
  const Tensor out = batch(memory.out, s, channels_last);
  const Tensor weight = Tensor::randn({s.c}, 4).to(device);
  const Tensor bias = Tensor::randn({s.c}, 5).to(device);
  const Tensor mean = Tensor::zeros({s.c}, DType::Float32, device);
  const Tensor var = Tensor::ones({s.c}, DType::Float32, device);
  const auto saved = F::batch_norm_train(x, weight, bias, eps, out);
  Tensor flat_out = memory.out.narrow(0, 0, s.numel());
  const Tensor flat_x = memory.x.narrow(0, 0, s.numel());
  const Batch named{s, channels_last, halnorm::name_of(dtype),
                    static_cast<int>(halnorm::size_of(dtype))};
  const auto report = [&](const char* operation, const auto& call) {
    const auto wait = [&] { halnorm::synchronize(device); };
    halnorm::bench::print(named, "halnorm", operation, halnorm::bench::times_of(call, wait));
  };
  report("copy", [&] { flat_out.copy_(flat_x); });
  report("train", [&] { F::batch_norm_train(x, weight, bias, eps, out); });
  report("infer", [&] { F::batch_norm_infer(x, mean, var, weight, bias, eps, out); });
  report("backward", [&] { F::batch_norm_backward(dy, x, weight, saved.mean, saved.invstd, out); });
}

}  // namespace

int main(int argc, char** argv) {
  const Device device(argc > 1 ? argv[1] : "cuda:0");
  const bool quick = argc > 2 && std::strcmp(argv[2], "--quick") == 0;
  std::int64_t largest = 0;
  halnorm::bench::for_each_batch(
      quick, [&](const BenchShape& s, bool) { largest = std::max(largest, s.numel()); });
  try {
    for (const DType dtype : {DType::Float32, DType::Float16, DType::BFloat16}) {
      const Memory memory(largest, dtype, device);
      halnorm::bench::for_each_batch(quick, [&](const BenchShape& s, bool channels_last) {
        measure(s, channels_last, memory);
      });
    }
  } catch (const halnorm::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
