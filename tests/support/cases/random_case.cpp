#include "support/cases/random_case.h"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <span>

using halnorm::DType;
using halnorm::Shape;
using halnorm::Tensor;

namespace {

using Random = RandomView::Random;

template <class T>
T one_of(Random& random, std::span<const T> choices) {
  return choices[static_cast<std::size_t>(random() % choices.size())];
}

bool one_in(Random& random, std::uint64_t n) { return random() % n == 0; }

/// A random extent from 1 to 2^bits, small ones as often as large ones.
std::int64_t extent(Random& random, std::uint64_t bits) {
  const std::uint64_t limit = std::uint64_t{1} << (random() % (bits + 1));
  return static_cast<std::int64_t>(1 + random() % limit);
}

/// At least two values per channel.
Shape random_shape(Random& random) {
  if (one_in(random, 100)) {  // so many channels that blocks have the fewest rows
    return {17 + static_cast<std::int64_t>(random() % 20),
            2048 + static_cast<std::int64_t>(random() % 500)};
  }
  Shape shape{extent(random, 5), extent(random, 6)};
  const std::uint64_t rank = 2 + random() % 3;
  if (rank == 3) {
    shape.push_back(one_in(random, 30) ? 4000 + extent(random, 8) : extent(random, 6));
  } else if (rank == 4) {
    shape.push_back(extent(random, 3));
    shape.push_back(extent(random, 3));
  }
  const auto inner =
      std::accumulate(shape.begin() + 2, shape.end(), std::int64_t{1}, std::multiplies<>());
  if (shape[0] * inner == 1) {
    shape[0] = 2;
  }
  if (inner > 4000) {
    shape[1] = std::min<std::int64_t>(shape[1], 3);
    shape[0] = std::min<std::int64_t>(shape[0], 2);
  }
  return shape;
}

DType parameters_for(Random& random, DType data) {
  constexpr std::array all{DType::Float16, DType::BFloat16, DType::Float32, DType::Float64};
  return one_in(random, 4) ? one_of<DType>(random, all) : element::of_parameters(data);
}

oracle::Batch batch_of(const Shape& shape, std::vector<double> values) {
  const auto inner =
      std::accumulate(shape.begin() + 2, shape.end(), std::int64_t{1}, std::multiplies<>());
  return {shape[0], shape[1], inner, std::move(values)};
}

}  // namespace

RandomCase::RandomCase(std::uint64_t seed)
    : random(seed),
      operation(static_cast<Operation>(random() % 8)),
      shape(random_shape(random)),
      dtype(one_of<DType>(random, element::linked())),
      affine_dtype(parameters_for(random, dtype)),
      running_dtype(parameters_for(random, dtype)),
      x(random, shape, dtype, true),
      dy(random, shape, dtype, true),
      out(random, shape, dtype, false),
      threads(1 + static_cast<int>(random() % 3)),
      in_place(one_in(random, 4)),
      with_out(one_in(random, 2)) {
  constexpr std::array eps_choices{1e-5, 1e-3, 0.1};
  constexpr std::array factors{0.1, 1.0, 0.5, 0.0};
  eps = one_of<double>(random, eps_choices);
  factor = one_of<double>(random, factors);
  fill();
}

void RandomCase::fill() {
  constexpr std::array means{0.0, 1.0, 1e2, 1e4, 1e6};
  inputs::Source source(random(), dtype);
  // float16 has no mean, and no sum of gradients, beyond 65504.
  const double most = affine_dtype == DType::Float16 ? 1e2 : element::within(running_dtype, 1e6);
  mean = std::min(one_of<double>(random, means), most);
  const oracle::Batch dense = batch_of(shape, {});
  x.assign(source.batch({dense.n, dense.c, dense.l, ""}, mean));
  dy.assign(source.normals(dense.n * dense.c * dense.l));
  x_values = batch_of(shape, x.values());
  dy_values = batch_of(shape, dy.values());
  const bool has_weight = !one_in(random, 4);
  const bool has_bias = !one_in(random, 4);
  weight = channels(w, affine_dtype, -1.5, 1.5);
  bias = channels(b, affine_dtype, -1, 1);
  const double around = element::within(dtype, mean);
  running_mean = channels(running.mean, running_dtype, around - 1, around + 1);
  running_var = channels(running.variance, running_dtype, 0.5, 2);
  if (!has_weight) {
    weight = Tensor();
    w.assign(w.size(), 1);
  }
  if (!has_bias) {
    bias = Tensor();
    b.assign(b.size(), 0);
  }
}

Tensor RandomCase::channels(oracle::Values& kept, DType kept_as, double low, double high) {
  inputs::Source source(random(), kept_as);
  const std::vector<double> values = source.uniforms(shape[1], low, high);
  kept = inputs::real(values);
  return inputs::channels(values, kept_as);
}

DType RandomCase::computed(bool with_running) const {
  const bool wide = dtype == DType::Float64 ||
                    (affine_dtype == DType::Float64 && (weight.defined() || bias.defined())) ||
                    (with_running && running_dtype == DType::Float64);
  return wide ? DType::Float64 : DType::Float32;
}

Tensor RandomCase::target(RandomView& in_place_of) {
  in_place = in_place && !in_place_of.shares_places();
  if (in_place) {
    return in_place_of.tensor();
  }
  return with_out ? out.tensor() : Tensor();
}

std::string RandomCase::str() const {
  constexpr std::array names{"train",          "train_update", "infer", "backward",
                             "backward_infer", "moments",      "elemt", "split_backward"};
  return std::string(names[static_cast<std::size_t>(operation)]) + ", x " + x.str() + ", dy " +
         dy.str() + ", out " +
         (in_place   ? "in place"
          : with_out ? out.str()
                     : "new") +
         ", weight and bias " + std::string(halnorm::name_of(affine_dtype)) +
         (weight.defined() ? "" : ", no weight") + (bias.defined() ? "" : ", no bias") +
         ", running " + std::string(halnorm::name_of(running_dtype)) + ", eps " +
         std::to_string(eps) + ", factor " + std::to_string(factor) + ", threads " +
         std::to_string(threads);
}
