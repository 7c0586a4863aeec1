#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "halnorm/error.h"
#include "halnorm/functional.h"
#include "halnorm/functional_fused.h"
#include "halnorm/kernels.h"
#include "inputs.h"

/// @file
/// Prints a hash of the bits of each operation's results, a line for each target, operation, dtype
/// and layout: "avx2 batch_norm_train f32 ncl 0123456789abcdef". A change of the code that should
/// keep every result prints the same lines. With --cases, a line for each shape and thread count.

namespace corpus {

namespace {

namespace fn = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;

using Results = std::vector<Tensor>;

/// An operation, by its name, on the inputs of one case; each result in a new tensor.
struct Operation {
  const char* name;
  std::function<Results(const Case&)> run;
};

Results flat(const fn::BatchNormForward& r) { return {r.y, r.mean, r.invstd}; }
Results flat(const fn::BatchNormBackward& r) { return {r.dx, r.dweight, r.dbias}; }
Results flat(const fn::BatchNormFusedBackward& r) { return {r.dx, r.daddend, r.dweight, r.dbias}; }

/// The statistics of the case's x, whose count is not 1.
fn::BatchNormForward forward(const Case& c) {
  return fn::batch_norm_train(c.x, c.weight, c.bias, c.eps);
}

Results train_update(const Case& c) {
  const Tensor mean = c.running_mean.clone();
  const Tensor var = c.running_var.clone();
  Results all = flat(fn::batch_norm_train_update(c.x, mean, var, c.weight, c.bias, 0.1, c.eps));
  all.insert(all.end(), {mean, var});
  return all;
}

Results fused_train_update(const Case& c) {
  const Tensor mean = c.running_mean.clone();
  const Tensor var = c.running_var.clone();
  Results all = flat(
      fn::batch_norm_fused_train_update(c.x, c.addend, mean, var, c.weight, c.bias, 0.1, c.eps));
  all.insert(all.end(), {mean, var});
  return all;
}

Results in_place(const Case& c) {
  const Tensor x = c.x.clone();
  const Tensor dy = c.dy.clone();
  const auto y = fn::batch_norm_train(x, c.weight, c.bias, c.eps, x);
  return {x, fn::batch_norm_backward(dy, c.x, c.weight, y.mean, y.invstd, dy).dx};
}

Results moments(const Case& c) {
  const auto m = fn::batch_norm_moments(c.x);
  const auto merged = fn::merge(m, fn::batch_norm_moments(c.dy));
  return {m.count, m.mean, m.m2, merged.count, merged.mean, merged.m2};
}

Results update_running_stats(const Case& c) {
  const Tensor mean = c.running_mean.clone();
  const Tensor var = c.running_var.clone();
  fn::update_running_stats(mean, var, fn::batch_norm_moments(c.x), 0.25);
  return {mean, var};
}

Results split_backward(const Case& c) {
  const auto y = forward(c);
  const auto sums = fn::batch_norm_backward_reduce(c.dy, c.x, y.mean, y.invstd, c.weight);
  const std::int64_t values = c.x.numel() / c.x.size(1);
  const auto count = static_cast<double>(values);
  const Tensor dx =
      fn::batch_norm_backward_elemt(c.dy, c.x, y.mean, y.invstd, c.weight, sums.sum_dy,
                                    sums.sum_dy_xmu, Tensor::full({}, count, DType::Float64));
  return {sums.sum_dy, sums.sum_dy_xmu, sums.dweight, sums.dbias, dx};
}

std::vector<Operation> plain_operations() {
  return {
      {"train", [](const Case& c) { return flat(forward(c)); }},
      {"train_update", train_update},
      {"in_place", in_place},
      {"infer",
       [](const Case& c) -> Results {
         return {fn::batch_norm_infer(c.x, c.running_mean, c.running_var, c.weight, c.bias, c.eps)};
       }},
      {"backward",
       [](const Case& c) {
         const auto y = forward(c);
         return flat(fn::batch_norm_backward(c.dy, c.x, c.weight, y.mean, y.invstd));
       }},
      {"backward_infer",
       [](const Case& c) {
         return flat(fn::batch_norm_backward_infer(c.dy, c.x, c.weight, c.running_mean,
                                                   c.running_var, c.eps));
       }},
      {"moments", moments},
      {"elemt",
       [](const Case& c) -> Results {
         return {fn::batch_norm_elemt(c.x, c.weight, c.bias, c.running_mean, c.running_var)};
       }},
      {"split_backward", split_backward},
      {"update_running_stats", update_running_stats},
  };
}

std::vector<Operation> fused_operations() {
  return {
      {"fused_train",
       [](const Case& c) {
         return flat(fn::batch_norm_fused_train(c.x, c.addend, c.weight, c.bias, c.eps));
       }},
      {"fused_train_update", fused_train_update},
      {"fused_infer",
       [](const Case& c) -> Results {
         return {fn::batch_norm_fused_infer(c.x, c.addend, c.running_mean, c.running_var, c.weight,
                                            c.bias, c.eps)};
       }},
      {"fused_backward",
       [](const Case& c) {
         const auto y = fn::batch_norm_fused_train(c.x, c.addend, c.weight, c.bias, c.eps);
         return flat(fn::batch_norm_fused_backward(c.dy, c.x, y.y, c.weight, y.mean, y.invstd));
       }},
      {"fused_backward_infer",
       [](const Case& c) {
         const Tensor y = fn::batch_norm_fused_infer(c.x, c.addend, c.running_mean, c.running_var,
                                                     c.weight, c.bias, c.eps);
         return flat(fn::batch_norm_fused_backward_infer(c.dy, c.x, y, c.weight, c.running_mean,
                                                         c.running_var, c.eps));
       }},
  };
}

std::vector<Operation> operations() {
  std::vector<Operation> all = plain_operations();
  const std::vector<Operation> fused = fused_operations();
  all.insert(all.end(), fused.begin(), fused.end());
  return all;
}

constexpr std::uint64_t empty_hash = 0xcbf29ce484222325;
constexpr std::uint64_t prime = 0x100000001b3;

/// A value of 16 bits. The sign and the payload of a NaN are those of the instruction that made it,
/// so that all NaNs count as one.
std::uint16_t with_one_nan(std::uint16_t bits, DType dtype) {
  const bool is_float16 = dtype == DType::Float16;
  const bool is_nan = (bits & 0x7fff) > (is_float16 ? 0x7c00 : 0x7f80);
  return static_cast<std::uint16_t>(is_nan ? (is_float16 ? 0x7e00 : 0x7fc0) : bits);
}

/// FNV-1a over the bytes, in row-major order whatever the strides are.
void add(std::uint64_t& hash, const Tensor& result) {
  const Tensor dense = result.contiguous();
  const auto* bytes = static_cast<const unsigned char*>(dense.raw_data());
  const std::size_t size = halnorm::size_of(dense.dtype());
  for (std::int64_t i = 0; i < dense.numel(); ++i, bytes += size) {
    std::array<unsigned char, sizeof(double)> value;
    std::copy_n(bytes, size, value.begin());
    if (size == sizeof(std::uint16_t)) {
      const auto bits = static_cast<std::uint16_t>(value[0] | value[1] << 8);
      const std::uint16_t kept = with_one_nan(bits, dense.dtype());
      value[0] = static_cast<unsigned char>(kept & 0xff);
      value[1] = static_cast<unsigned char>(kept >> 8);
    }
    for (std::size_t byte = 0; byte < size; ++byte) {
      hash = (hash ^ value[byte]) * prime;
    }
  }
}

std::uint64_t hash_of(const Operation& operation, const Case& c) {
  std::uint64_t hash = empty_hash;
  for (const Tensor& result : operation.run(c)) {
    add(hash, result);
  }
  return hash;
}

void print(const std::string& what, std::uint64_t hash) {
  std::printf("%s %016llx\n", what.c_str(), static_cast<unsigned long long>(hash));
}

/// One line for all cases of a dtype and a layout, or one for each.
void print_cases(const std::string& target, DType dtype, bool channels_last, bool each) {
  const std::vector<Case> cases = make_cases(dtype, channels_last);
  for (const Operation& operation : operations()) {
    const std::string line = target + " " + operation.name + " " +
                             std::string(halnorm::name_of(dtype)) +
                             (channels_last ? " nlc" : " ncl");
    std::uint64_t all = empty_hash;
    for (const Case& c : cases) {
      for (const int threads : {1, 3}) {
        halnorm::set_num_threads(threads);
        halnorm::set_streaming_threshold(c.streaming_threshold);
        const std::uint64_t hash = hash_of(operation, c);
        all = (all ^ hash) * prime;
        if (each) {
          print(line + " " + c.name + " threads=" + std::to_string(threads), hash);
        }
      }
    }
    if (!each) {
      print(line, all);
    }
  }
}

int run(bool each) {
  for (const std::string& target : halnorm::targets()) {
    halnorm::force_target(target);
    for (const DType dtype : {DType::Float32, DType::Float64, DType::Float16, DType::BFloat16}) {
      for (const bool channels_last : {false, true}) {
        print_cases(target, dtype, channels_last, each);
      }
    }
  }
  return 0;
}

}  // namespace

}  // namespace corpus

int main(int argc, char** argv) {
  const bool each = argc == 2 && std::strcmp(argv[1], "--cases") == 0;
  if (argc > 1 && !each) {
    std::fprintf(stderr, "usage: halnorm_corpus [--cases]\n");
    return 2;
  }
  try {
    return corpus::run(each);
  } catch (const halnorm::Error& error) {
    std::fprintf(stderr, "halnorm_corpus: %s\n", error.what());
    return 1;
  }
}
