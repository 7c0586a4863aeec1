#include <cmath>
#include <limits>

#include "device/on_device.h"
#include "support/kernel_test.h"

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;
using placement::Layout;

namespace {

constexpr double eps = 1e-5;
constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double none = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t channels = 11;
constexpr std::int64_t ill = 6;

/// A NaN or an infinity makes its channel's statistics one, and no other's.
class DeviceNonFinite : public on_device::Test {
 protected:
  [[nodiscard]] DType parameters() const {
    return dtype() == DType::Float64 ? DType::Float64 : DType::Float32;
  }

  /// Means and variances, or sums of squares, as all operations give them.
  struct Statistics {
    std::vector<std::vector<double>> means, spreads;
  };

  [[nodiscard]] Statistics statistics_of(const Tensor& x) const {
    const Tensor mean = Tensor::zeros({x.size(1)}, parameters(), device());
    const Tensor var = Tensor::ones({x.size(1)}, parameters(), device());
    const Tensor fused_mean = mean.clone();
    const Tensor fused_var = var.clone();
    const F::Moments m = F::batch_norm_moments(x);
    const auto trained = F::batch_norm_train_update(x, mean, var, {}, {}, 0.1, eps);
    const auto fused =
        F::batch_norm_fused_train_update(x, x, fused_mean, fused_var, {}, {}, 0.1, eps);
    const auto alone = F::batch_norm_train(x, {}, {}, eps);
    Statistics all;
    for (const Tensor& t : {m.mean, mean, fused_mean, trained.mean, fused.mean, alone.mean}) {
      all.means.push_back(t.to_vector<double>());
    }
    for (const Tensor& t : {m.m2, var, fused_var, trained.invstd, fused.invstd, alone.invstd}) {
      all.spreads.push_back(t.to_vector<double>());
    }
    return all;
  }

  static void expect_ill(const std::vector<double>& got, std::vector<double> healthy, double bad,
                         bool is_mean) {
    const double value = got[ill];
    EXPECT_TRUE(std::isnan(value) || (is_mean && value == bad)) << value;
    healthy[ill] = value;
    EXPECT_TRUE(same_bits(got, healthy)) << "another channel than that of " << bad;
  }
};

}  // namespace

TEST_P(DeviceNonFinite, AValueMakesTheStatisticsOfItsChannelSo) {
  for (const std::int64_t rows : {7, 7000}) {  // the second in more than one launch
    const std::int64_t length = GetParam().layout == Layout::Nc ? 1 : 5;
    const Tensor sound = Tensor::randn({rows, channels, length}, 3, dtype());
    const Statistics healthy = statistics_of(there(sound));
    for (const double bad : {none, inf, -inf}) {
      for (const std::int64_t row : {std::int64_t{0}, rows / 2, rows - 1}) {
        SCOPED_TRACE(std::to_string(row) + " of " + std::to_string(rows));
        const Tensor x = sound.clone();
        x.narrow(0, row, 1).narrow(1, ill, 1).narrow(2, length - 1, 1).fill_(bad);
        const Statistics got = statistics_of(there(x));
        for (std::size_t i = 0; i < got.means.size(); ++i) {
          expect_ill(got.means[i], healthy.means[i], bad, true);
          expect_ill(got.spreads[i], healthy.spreads[i], bad, false);
        }
      }
    }
  }
}

TEST_P(DeviceNonFinite, OneOfTwoValuesIsEnough) {
  for (const std::vector<double>& values : {std::vector{1, none}, {none, 1}, {none, none}}) {
    halnorm::nn::BatchNorm1d layer(1);
    layer.to(device(), parameters());
    layer(there(Tensor::from<double>(values, {2, 1}).to(dtype())));
    EXPECT_TRUE(std::isnan(layer.running_mean.item<double>()));
    EXPECT_TRUE(std::isnan(layer.running_var.item<double>()));
  }
}

TEST_P(DeviceNonFinite, FiniteValuesWhoseSquaresAreNotStayFinite) {
  const double scale = dtype() == DType::Float16 ? 2e4 : 1e38;
  const Tensor x = Tensor::from<double>(std::vector{-3 * scale, 2.7 * scale}, {2, 1}).to(dtype());
  const auto got = F::batch_norm_train(there(x), {}, {}, eps);
  const std::vector<double> y = got.y.to_vector<double>();
  EXPECT_NEAR(y[0], -1, 1e-6);
  EXPECT_NEAR(y[1], 1, 1e-6);
  std::vector<double> many;
  for (int i = 0; i < 512; ++i) {
    many.push_back(i % 2 == 0 ? scale / 100 : -scale / 100);
  }
  const auto more =
      F::batch_norm_train(there(Tensor::from<double>(many, {512, 1}).to(dtype())), {}, {}, eps)
          .y.to_vector<double>();
  for (std::size_t i = 0; i < more.size(); ++i) {
    EXPECT_NEAR(more[i], i % 2 == 0 ? 1 : -1, 1e-6);
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceNonFinite);
INSTANTIATE_TEST_SUITE_P(Devices, DeviceNonFinite, ::testing::ValuesIn(on_device::cases()),
                         on_device::name_of_param);
