// Some calls of one operation, for emulated.py to count: ours, or the plain loops.
//
//   halnorm_instructions ours|plain|rows train|infer|backward ncl|nlc N C L CALLS
//
// Prints the sum of the result's absolute values, which must be equal for all of them.

#include <halnorm/halnorm.h>

#include <cmath>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>

#include "plain.h"

namespace {

namespace F = halnorm::functional;
using halnorm::Tensor;

struct Data {
  plain::Batch batch;
  plain::Layer layer;
  plain::Values x, dy, out;
};

plain::Values normals(std::size_t count, std::uint64_t seed) {
  return Tensor::randn({static_cast<std::int64_t>(count)}, seed).to_vector<float>();
}

Data make_data(const plain::Batch& b) {
  const std::size_t count = b.N * b.C * b.L;
  Data d{
      b, {normals(b.C, 1), normals(b.C, 2), normals(b.C, 3), normals(b.C, 4), 1e-5F}, {}, {}, {}};
  for (float& var : d.layer.var) {
    var = 1 + std::fabs(var);
  }
  d.x = normals(count, 5);
  d.dy = normals(count, 6);
  d.out.resize(count);
  return d;
}

/// The values as an (N, C, L) tensor, without a copy.
Tensor view(plain::Values& values, const plain::Batch& b) {
  const auto n = static_cast<std::int64_t>(b.N);
  const auto c = static_cast<std::int64_t>(b.C);
  const auto l = static_cast<std::int64_t>(b.L);
  const halnorm::Shape strides =
      b.channels_last ? halnorm::Shape{l * c, 1, c} : halnorm::Shape{c * l, l, 1};
  return Tensor::from_blob(values.data(), {n, c, l}, halnorm::DType::Float32, strides);
}

Tensor channels(plain::Values& values) {
  return Tensor::from_blob(values.data(), {static_cast<std::int64_t>(values.size())},
                           halnorm::DType::Float32, {1});
}

void call_ours(const std::string& operation, Data& d) {
  plain::Layer& p = d.layer;
  Tensor out = view(d.out, d.batch);
  const Tensor x = view(d.x, d.batch);
  const Tensor weight = channels(p.weight);
  const Tensor bias = channels(p.bias);
  if (operation == "train") {
    F::batch_norm_train(x, weight, bias, p.eps, out);
  } else if (operation == "infer") {
    F::batch_norm_infer(x, channels(p.mean), channels(p.var), weight, bias, p.eps, out);
  } else {
    std::vector<double> mean(p.mean.begin(), p.mean.end());
    std::vector<double> invstd;
    for (const float var : p.var) {
      invstd.push_back(1 / std::sqrt(static_cast<double>(var) + static_cast<double>(p.eps)));
    }
    const auto size = static_cast<std::int64_t>(mean.size());
    const auto as_tensor = [size](std::vector<double>& v) {
      return Tensor::from_blob(v.data(), {size}, halnorm::DType::Float64, {1});
    };
    F::batch_norm_backward(view(d.dy, d.batch), x, weight, as_tensor(mean), as_tensor(invstd), out);
  }
}

void call_plain(const std::string& operation, bool by_rows, Data& d) {
  if (operation == "train") {
    (by_rows ? plain::train_rows : plain::train)(d.batch, d.layer, d.x, d.out);
  } else if (operation == "infer") {
    (by_rows ? plain::infer_rows : plain::infer)(d.batch, d.layer, d.x, d.out);
  } else {
    (by_rows ? plain::backward_rows : plain::backward)(d.batch, d.layer, d.dy, d.x, d.out);
  }
}

void run(const std::vector<std::string>& words) {
  if (words.size() != 7) {
    throw std::invalid_argument("got " + std::to_string(words.size()) + " arguments, wanted 7");
  }
  const auto number = [&](std::size_t i) { return std::stoul(words[i]); };
  Data d = make_data({number(3), number(4), number(5), words[2] == "nlc"});
  halnorm::set_num_threads(1);
  for (std::size_t i = 0; i < number(6); ++i) {
    if (words[0] == "ours") {
      call_ours(words[1], d);
    } else {
      call_plain(words[1], words[0] == "rows", d);
    }
  }
  double sum = 0;
  for (const float value : d.out) {
    sum += std::fabs(value);
  }
  std::cout << sum << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
