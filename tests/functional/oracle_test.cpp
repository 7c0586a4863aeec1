#include "support/oracle.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "support/cases/inputs.h"
#include "support/kernel_test.h"

using oracle::Batch;
using oracle::Real;
using oracle::Values;

namespace {

constexpr double eps = 1e-5;

/// The gradient of `loss` at `point` by central differences. With a step of h its error is
/// h^2 * |third derivative| / 6 + 2^-64 * |loss| / h: about 1e-10 for h = 1e-5.
Values differences(std::vector<double> point,
                   const std::function<Real(const std::vector<double>&)>& loss) {
  constexpr double step = 0x1p-17;
  Values gradient;
  for (double& coordinate : point) {
    const double kept = coordinate;
    coordinate = kept + step;
    const Real above = loss(point);
    coordinate = kept - step;
    const Real below = loss(point);
    coordinate = kept;
    gradient.push_back((above - below) / (2 * Real{step}));
  }
  return gradient;
}

Real dot(const Batch& dy, const Values& y) {
  Real sum = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    sum += dy.values[i] * y[i];
  }
  return sum;
}

/// A batch, its dy, and a layer.
struct Point {
  inputs::Source source{7, halnorm::DType::Float64};
  Batch x{3, 4, 5, source.normals(60)};
  Batch dy{3, 4, 5, source.normals(60)};
  inputs::Layer layer{source, 4, 0.0};
  oracle::Running running{inputs::real(layer.running_mean), inputs::real(layer.running_var)};
};

void expect_gradients(const oracle::Gradients& got, const Values& dx, const Values& dweight,
                      const Values& dbias) {
  const auto compare = [](const Values& a, const Values& b, const char* what) {
    expect_near({a.begin(), a.end()}, b, 1e-8, what);
  };
  compare(got.dx, dx, "dx");
  compare(got.dweight, dweight, "dweight");
  compare(got.dbias, dbias, "dbias");
}

}  // namespace

TEST(Oracle, KnowsTheWorkedExample) {
  const Batch x{2, 2, 1, {1, 2, 3, 5}};
  const Values y = oracle::train(x, {1, 1}, {0, 0}, eps);
  const Values wanted = {-1, -1, 1, 1};
  for (std::size_t i = 0; i < y.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(y[i]), static_cast<double>(wanted[i]), 1e-5);
  }
  const oracle::Running running = oracle::updated({{0, 0}, {1, 1}}, oracle::statistics(x), 0.1);
  EXPECT_NEAR(static_cast<double>(running.mean[0]), 0.2, 1e-15);
  EXPECT_NEAR(static_cast<double>(running.mean[1]), 0.35, 1e-15);
  EXPECT_NEAR(static_cast<double>(running.variance[0]), 1.1, 1e-15);
  EXPECT_NEAR(static_cast<double>(running.variance[1]), 1.35, 1e-15);
}

TEST(Oracle, StatisticsOfWholeNumbersAreExact) {
  // 0, 1, ..., 8 in each channel, shifted by 1e6: mean 1e6 + 4, sum of squares 60.
  Batch x{3, 2, 3, {}};
  for (int n = 0; n < 3; ++n) {
    for (int c = 0; c < 2; ++c) {
      for (int l = 0; l < 3; ++l) {
        x.values.push_back(1e6 * c + 3 * n + l);
      }
    }
  }
  const oracle::Statistics batch = oracle::statistics(x);
  EXPECT_EQ(batch.count, 9);
  EXPECT_EQ(batch.mean, (Values{4, 1000004}));
  EXPECT_EQ(batch.m2, (Values{60, 60}));
}

TEST(Oracle, TrainingGradientsAreTheDifferencesOfItsLoss) {
  const Point p;
  const Values w = inputs::real(p.layer.weight);
  const Values b = inputs::real(p.layer.bias);
  const Values dx = differences(p.x.values, [&](const std::vector<double>& values) {
    return dot(p.dy, oracle::train({3, 4, 5, values}, w, b, eps));
  });
  const Values dweight = differences(p.layer.weight, [&](const std::vector<double>& values) {
    return dot(p.dy, oracle::train(p.x, inputs::real(values), b, eps));
  });
  const Values dbias = differences(p.layer.bias, [&](const std::vector<double>& values) {
    return dot(p.dy, oracle::train(p.x, w, inputs::real(values), eps));
  });
  expect_gradients(oracle::backward(p.dy, p.x, w, eps), dx, dweight, dbias);
}

TEST(Oracle, InferenceGradientsAreTheDifferencesOfItsLoss) {
  const Point p;
  const Values w = inputs::real(p.layer.weight);
  const Values b = inputs::real(p.layer.bias);
  const Values dx = differences(p.x.values, [&](const std::vector<double>& values) {
    return dot(p.dy, oracle::infer({3, 4, 5, values}, p.running, w, b, eps));
  });
  const Values dweight = differences(p.layer.weight, [&](const std::vector<double>& values) {
    return dot(p.dy, oracle::infer(p.x, p.running, inputs::real(values), b, eps));
  });
  const Values dbias = differences(p.layer.bias, [&](const std::vector<double>& values) {
    return dot(p.dy, oracle::infer(p.x, p.running, w, inputs::real(values), eps));
  });
  expect_gradients(oracle::backward_infer(p.dy, p.x, p.running, w, eps), dx, dweight, dbias);
}
