#include "plain.h"

#include <cmath>

namespace plain {

namespace {

/// Calls f with the index of each of a channel's elements. One loop for each layout, so that the
/// compiler knows that a row's elements are neighbours.
template <class F>
void for_channel(const Batch& b, std::size_t c, F f) {
  for (std::size_t n = 0; n < b.N; ++n) {
    if (b.channels_last) {
      for (std::size_t l = 0; l < b.L; ++l) {
        f((n * b.L + l) * b.C + c);
      }
    } else {
      const std::size_t first = (n * b.C + c) * b.L;
      for (std::size_t l = 0; l < b.L; ++l) {
        f(first + l);
      }
    }
  }
}

struct Moments {
  float mean, invstd;
};

Moments moments(const Batch& b, float eps, const float* x, std::size_t c) {
  const auto count = static_cast<float>(b.N * b.L);
  float sum = 0;
  for_channel(b, c, [&](std::size_t i) { sum += x[i]; });
  const float mean = sum / count;
  float squares = 0;
  for_channel(b, c, [&](std::size_t i) { squares += (x[i] - mean) * (x[i] - mean); });
  return {mean, 1 / std::sqrt(squares / count + eps)};
}

void normalize(const Batch& b, const Layer& layer, const Moments& m, const float* x, float* y,
               std::size_t c) {
  const float scale = m.invstd * layer.weight[c];
  const float bias = layer.bias[c];
  for_channel(b, c, [=](std::size_t i) { y[i] = (x[i] - m.mean) * scale + bias; });
}

/// Values per channel, for the loops that run row by row.
struct Rows {
  Values mean, scale, sum, second;
  explicit Rows(std::size_t channels)
      : mean(channels), scale(channels), sum(channels), second(channels) {}
};

/// Calls f with the channel and the index of each element, row by row.
template <class F>
void for_rows(const Batch& b, F f) {
  for (std::size_t row = 0; row < b.N * b.L; ++row) {
    const std::size_t first = row * b.C;
    for (std::size_t c = 0; c < b.C; ++c) {
      f(c, first + c);
    }
  }
}

void moments_rows(const Batch& b, const Layer& layer, const float* x, Rows& r) {
  const auto count = static_cast<float>(b.N * b.L);
  float* sum = r.sum.data();
  float* mean = r.mean.data();
  float* squares = r.second.data();
  for_rows(b, [=](std::size_t c, std::size_t i) { sum[c] += x[i]; });
  for (std::size_t c = 0; c < b.C; ++c) {
    mean[c] = sum[c] / count;
  }
  for_rows(
      b, [=](std::size_t c, std::size_t i) { squares[c] += (x[i] - mean[c]) * (x[i] - mean[c]); });
  for (std::size_t c = 0; c < b.C; ++c) {
    r.scale[c] = layer.weight[c] / std::sqrt(squares[c] / count + layer.eps);
  }
}

void normalize_rows(const Batch& b, const Layer& layer, const Rows& r, const float* x, float* y) {
  const float* mean = r.mean.data();
  const float* scale = r.scale.data();
  const float* bias = layer.bias.data();
  for_rows(b, [=](std::size_t c, std::size_t i) { y[i] = (x[i] - mean[c]) * scale[c] + bias[c]; });
}

}  // namespace

void train(const Batch& b, const Layer& layer, const Values& x, Values& y) {
  for (std::size_t c = 0; c < b.C; ++c) {
    normalize(b, layer, moments(b, layer.eps, x.data(), c), x.data(), y.data(), c);
  }
}

void infer(const Batch& b, const Layer& layer, const Values& x, Values& y) {
  for (std::size_t c = 0; c < b.C; ++c) {
    const Moments m{layer.mean[c], 1 / std::sqrt(layer.var[c] + layer.eps)};
    normalize(b, layer, m, x.data(), y.data(), c);
  }
}

void backward(const Batch& b, const Layer& layer, const Values& dy_values, const Values& x_values,
              Values& dx_values) {
  const auto count = static_cast<float>(b.N * b.L);
  const float* dy = dy_values.data();
  const float* x = x_values.data();
  float* dx = dx_values.data();
  for (std::size_t c = 0; c < b.C; ++c) {
    const float mean = layer.mean[c];
    const float invstd = 1 / std::sqrt(layer.var[c] + layer.eps);
    float sum = 0;
    float product = 0;
    for_channel(b, c, [&](std::size_t i) {
      sum += dy[i];
      product += dy[i] * (x[i] - mean);
    });
    const float average = sum / count;
    const float slope = product / count * invstd * invstd;
    const float scale = invstd * layer.weight[c];
    for_channel(b, c,
                [=](std::size_t i) { dx[i] = (dy[i] - average - (x[i] - mean) * slope) * scale; });
  }
}

void train_rows(const Batch& b, const Layer& layer, const Values& x, Values& y) {
  Rows r(b.C);
  moments_rows(b, layer, x.data(), r);
  normalize_rows(b, layer, r, x.data(), y.data());
}

void infer_rows(const Batch& b, const Layer& layer, const Values& x, Values& y) {
  Rows r(b.C);
  r.mean = layer.mean;
  for (std::size_t c = 0; c < b.C; ++c) {
    r.scale[c] = layer.weight[c] / std::sqrt(layer.var[c] + layer.eps);
  }
  normalize_rows(b, layer, r, x.data(), y.data());
}

void backward_rows(const Batch& b, const Layer& layer, const Values& dy_values,
                   const Values& x_values, Values& dx_values) {
  const auto count = static_cast<float>(b.N * b.L);
  Rows r(b.C);
  const float* dy = dy_values.data();
  const float* x = x_values.data();
  const float* mean = layer.mean.data();
  float* dx = dx_values.data();
  float* average = r.sum.data();
  float* slope = r.second.data();
  float* scale = r.scale.data();
  for_rows(b, [=](std::size_t c, std::size_t i) {
    average[c] += dy[i];
    slope[c] += dy[i] * (x[i] - mean[c]);
  });
  for (std::size_t c = 0; c < b.C; ++c) {
    const float invstd = 1 / std::sqrt(layer.var[c] + layer.eps);
    average[c] /= count;
    slope[c] *= invstd * invstd / count;
    scale[c] = invstd * layer.weight[c];
  }
  for_rows(b, [=](std::size_t c, std::size_t i) {
    dx[i] = (dy[i] - average[c] - (x[i] - mean[c]) * slope[c]) * scale[c];
  });
}

}  // namespace plain
