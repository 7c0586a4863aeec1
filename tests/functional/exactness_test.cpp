#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "halnorm/functional.h"
#include "halnorm/kernels.h"
#include "support/oracle.h"

/// @file
/// Compares float32 results with the oracle, in units in the last place (ulp): y and dx in ulp of a
/// channel's largest value, statistics in ulp of their own. Also tests values that are not finite.

namespace F = halnorm::functional;
using halnorm::Shape;
using halnorm::Tensor;

namespace {

constexpr double eps = 1e-5;
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

/// The distance of a value's two float32 neighbours, halved.
double ulp_of(oracle::Real value) {
  const float rounded = std::fabs(static_cast<float>(value));
  return static_cast<double>(std::nextafter(rounded, infinity)) - static_cast<double>(rounded);
}

double off(double got, oracle::Real want, double ulp) {
  return static_cast<double>(oracle::magnitude_of(oracle::Real{got} - want)) / ulp;
}

/// The worst channel of each result.
struct Worst {
  double y = 0, dx = 0, mean = 0, variance = 0;
};

/// (N, C, L), in the memory order of the named layout.
Tensor placed(const Tensor& x, bool channels_last) {
  return channels_last ? x.transpose(1, 2).contiguous().transpose(1, 2) : x;
}

/// The largest error, in ulp of each channel's largest value.
double worst_of(const oracle::Batch& shape, const std::vector<double>& got,
                const oracle::Values& want) {
  double worst = 0;
  for (std::int64_t c = 0; c < shape.c; ++c) {
    oracle::Real largest = 0;
    double error = 0;
    const auto each = [&](const auto& visit) {
      for (std::int64_t n = 0; n < shape.n; ++n) {
        for (std::int64_t l = 0; l < shape.l; ++l) {
          visit(shape.index(n, c, l));
        }
      }
    };
    each([&](std::size_t i) { largest = std::max(largest, oracle::magnitude_of(want[i])); });
    each([&](std::size_t i) { error = std::max(error, off(got[i], want[i], ulp_of(largest))); });
    worst = std::max(worst, error);
  }
  return worst;
}

double worst_statistic(const std::vector<double>& got, const oracle::Values& want) {
  double worst = 0;
  for (std::size_t c = 0; c < got.size(); ++c) {
    worst = std::max(worst, off(got[c], want[c], ulp_of(want[c])));
  }
  return worst;
}

Worst errors_of(const Shape& shape, double mean, bool channels_last) {
  Tensor x = Tensor::randn(shape, 5);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    x.data<float>()[i] += static_cast<float>(mean);
  }
  const Tensor dy = Tensor::randn(shape, 6);
  const oracle::Batch data{shape[0], shape[1], shape[2], x.to_vector<double>()};
  const oracle::Batch gradient{shape[0], shape[1], shape[2], dy.to_vector<double>()};
  const oracle::Values ones(static_cast<std::size_t>(shape[1]), 1);
  const oracle::Values zeros(ones.size(), 0);

  const Tensor running_mean = Tensor::zeros({shape[1]});
  const Tensor running_var = Tensor::zeros({shape[1]});
  const F::BatchNormForward r = F::batch_norm_train_update(placed(x, channels_last), running_mean,
                                                           running_var, {}, {}, 1.0, eps);
  const F::BatchNormBackward g = F::batch_norm_backward(
      placed(dy, channels_last), placed(x, channels_last), {}, r.mean, r.invstd);

  const oracle::Running want = oracle::updated({zeros, zeros}, oracle::statistics(data), 1.0);
  return {worst_of(data, r.y.to_vector<double>(), oracle::train(data, ones, zeros, eps)),
          worst_of(data, g.dx.to_vector<double>(), oracle::backward(gradient, data, ones, eps).dx),
          worst_statistic(running_mean.to_vector<double>(), want.mean),
          worst_statistic(running_var.to_vector<double>(), want.variance)};
}

class Exactness : public ::testing::Test {
 protected:
  void TearDown() override { halnorm::force_target(""); }

  template <class Body>
  static void everywhere(const Body& body) {
    for (const std::string& target : halnorm::targets()) {
      halnorm::force_target(target);
      for (const bool channels_last : {false, true}) {
        SCOPED_TRACE(target + (channels_last ? ", channels last" : ", channels first"));
        body(channels_last);
      }
    }
  }
};

/// The results of a training call on (M, C), each column a channel.
struct Trained {
  std::vector<double> y, mean, invstd, running_mean, running_var;
};

Trained train(const Tensor& x) {
  const std::int64_t channels = x.size(1);
  const Tensor mean = Tensor::zeros({channels});
  const Tensor var = Tensor::ones({channels});
  const F::BatchNormForward r = F::batch_norm_train_update(x, mean, var, {}, {}, 0.1, eps);
  return {r.y.to_vector<double>(), r.mean.to_vector<double>(), r.invstd.to_vector<double>(),
          mean.to_vector<double>(), var.to_vector<double>()};
}

}  // namespace

// The mean of few values may be small against their deviation by chance, and is rounded once all
// the same: 1 ulp covers the two roundings of a running statistic.
TEST_F(Exactness, StatisticsOfFewValuesAreRoundedOnce) {
  const std::vector<Shape> shapes = {{1, 64, 8},  {2, 64, 4},  {1, 64, 16},
                                     {4, 64, 9},  {1, 64, 64}, {8, 64, 32},
                                     {3, 64, 77}, {64, 64, 1}, {256, 64, 1}};
  for (const Shape& shape : shapes) {
    for (const double mean : {0.0, 0.1, 1.0, 1000.0}) {
      SCOPED_TRACE("shape " + std::to_string(shape[0]) + ", " + std::to_string(shape[2]) +
                   ", mean " + std::to_string(mean));
      everywhere([&](bool channels_last) {
        const Worst worst = errors_of(shape, mean, channels_last);
        EXPECT_LE(worst.mean, 1.0);
        EXPECT_LE(worst.variance, 1.0);
      });
    }
  }
}

TEST_F(Exactness, OneChannelOfEightValues) {
  everywhere([](bool channels_last) {
    const Tensor mean = Tensor::zeros({1});
    const Tensor var = Tensor::zeros({1});
    const Tensor x = placed(Tensor::randn({1, 1, 8}, 2705), channels_last);
    (void)F::batch_norm_train_update(x, mean, var, {}, {}, 1.0, eps);
    EXPECT_FLOAT_EQ(mean.item<float>(), 0.0989436582F);
    EXPECT_EQ(mean.item<float>(), 0.0989436582F);
  });
}

// With fewer values the terms of dx may cancel, and dx then has a larger error in ulp.
TEST_F(Exactness, OutputsAreWithinTwoUlpOfTheLargest) {
  const std::vector<Shape> shapes = {{3, 64, 8},    {4, 64, 9},    {8, 64, 32},  {8, 64, 64},
                                     {2, 64, 600},  {32, 64, 64},  {64, 64, 49}, {1000, 64, 1},
                                     {4096, 32, 1}, {4, 32, 1000}, {300, 32, 7}};
  for (const Shape& shape : shapes) {
    for (const double mean : {0.0, 0.1, 1.0}) {
      SCOPED_TRACE("shape " + std::to_string(shape[0]) + ", " + std::to_string(shape[2]) +
                   ", mean " + std::to_string(mean));
      everywhere([&](bool channels_last) {
        const Worst worst = errors_of(shape, mean, channels_last);
        EXPECT_LE(worst.y, 2.0);
        EXPECT_LE(worst.dx, 2.0);
        EXPECT_LE(worst.variance, 2.0);
      });
    }
  }
}

TEST_F(Exactness, OfViewsWithoutAStride) {
  everywhere([](bool) {
    const Tensor row = Tensor::randn({1, 1, 2}, 3);
    const Tensor x =
        Tensor::from_blob(row.raw_data(), {509, 1, 2}, halnorm::DType::Float32, {0, 2, 1});
    const F::Moments got = F::batch_norm_moments(x);
    const oracle::Statistics want =
        oracle::statistics({509, 1, 2, x.contiguous().to_vector<double>()});
    EXPECT_LE(off(got.m2.item<double>(), want.m2[0], ulp_of(want.m2[0])), 2.0);
    EXPECT_LE(off(got.mean.item<double>(), want.mean[0], ulp_of(want.mean[0])), 2.0);
  });
}

// For any number of values, and so for any kernel, a NaN or an infinity appears in the statistics
// of its channel, and in those of no other.
TEST_F(Exactness, ANaNStaysInItsChannel) {
  for (const std::int64_t rows : {2, 9, 40, 300, 3000}) {
    for (const float bad : {not_a_number, infinity, -infinity}) {
      for (const std::int64_t place : {std::int64_t{0}, rows / 2, rows - 1}) {
        SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(bad) + " in row " +
                     std::to_string(place));
        everywhere([&](bool channels_last) {
          const Tensor clean = Tensor::randn({rows, 5, 1}, 4);
          const Tensor x = clean.clone();
          x.data<float>()[place * 5 + 2] = bad;
          const Trained got = train(placed(x, channels_last));
          const Trained want = train(placed(clean, channels_last));
          for (std::size_t c = 0; c < 5; ++c) {
            if (c == 2) {
              EXPECT_TRUE(std::isnan(got.invstd[c]) && std::isnan(got.running_var[c]));
              EXPECT_FALSE(std::isfinite(got.mean[c]) || std::isfinite(got.running_mean[c]));
              continue;
            }
            EXPECT_EQ(got.invstd[c], want.invstd[c]);
            EXPECT_EQ(got.mean[c], want.mean[c]);
            EXPECT_EQ(got.running_var[c], want.running_var[c]);
            EXPECT_EQ(got.y[c], want.y[c]);
          }
        });
      }
    }
  }
}

TEST_F(Exactness, TwoValuesOfWhichOneIsNaN) {
  for (const std::string& target : halnorm::targets()) {
    SCOPED_TRACE(target);
    halnorm::force_target(target);
    const std::vector<float> values{1.0F, not_a_number};
    const Trained got = train(Tensor::from(std::span<const float>(values), {2, 1}));
    EXPECT_TRUE(std::isnan(got.running_var[0]));
    EXPECT_TRUE(std::isnan(got.invstd[0]));
    EXPECT_TRUE(std::isnan(got.y[0]) && std::isnan(got.y[1]));
  }
}

// The sums are given and finite, so that an element of dx depends on its own dy and x alone. dy's
// factor is positive, and as a float32 too large, too small or exact.
TEST_F(Exactness, AnInfiniteGradientIsInfiniteInDxAndChangesNoOtherElement) {
  constexpr std::int64_t rows = 300, channels = 5;
  const Tensor x = Tensor::randn({rows, channels, 1}, 4);
  const Tensor dy = Tensor::randn({rows, channels, 1}, 5);
  const auto values = [&](std::uint64_t seed) {
    return Tensor::randn({channels}, seed, halnorm::DType::Float64);
  };
  const std::vector<double> factors{0.3, 0.5, 0.7, 0.1, 1.0 / 3};
  const Tensor invstd = Tensor::from(std::span<const double>(factors), {channels});
  const Tensor count = Tensor::full({}, rows, halnorm::DType::Float64);
  for (const float bad : {not_a_number, infinity, -infinity}) {
    Tensor with_bad = dy.clone();
    with_bad.narrow(0, 7, 1).fill_(static_cast<double>(bad));
    everywhere([&](bool channels_last) {
      const auto dx = [&](const Tensor& gradient) {
        return F::batch_norm_backward_elemt(placed(gradient, channels_last),
                                            placed(x, channels_last), values(6), invstd, {},
                                            values(7), values(8), count)
            .to_vector<float>();
      };
      const std::vector<float> want = dx(dy);
      const std::vector<float> got = dx(with_bad);
      for (std::size_t i = 0; i < want.size(); ++i) {
        const float wanted = i / channels == 7 ? bad : want[i];
        ASSERT_TRUE(got[i] == wanted || (std::isnan(got[i]) && std::isnan(wanted))) << i;
      }
    });
  }
}
