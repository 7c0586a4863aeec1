#include <cmath>
#include <initializer_list>
#include <limits>
#include <string>

#include "device/on_device.h"
#include "support/kernel_test.h"

namespace F = halnorm::functional;
using halnorm::Tensor;

namespace {

constexpr double eps = 1e-5;
constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double none = std::numeric_limits<double>::quiet_NaN();

/// Calls whose channels have few values, which a device computes in one launch.
class DeviceSmall : public on_device::Test {
 protected:
  [[nodiscard]] Tensor data(const halnorm::Shape& shape) const {
    return there(Tensor::randn(shape, 1, dtype()));
  }

  /// The most rows of a channel with one launch. If channels are adjacent, a block has several.
  [[nodiscard]] std::int64_t most_rows() const {
    return 384 * static_cast<std::int64_t>(halnorm::size_of(dtype()));
  }
  /// The same for a batch with an L axis.
  [[nodiscard]] std::int64_t most_values() const {
    return GetParam().layout == placement::Layout::Nlc ? most_rows() : 32768;
  }

  /// y, dx and invstd of each channel.
  using Results = std::vector<std::vector<double>>;

  static Results train_and_back(const Tensor& x) {
    const auto trained = F::batch_norm_train(x, {}, {}, eps);
    const auto back = F::batch_norm_backward(x, x, {}, trained.mean, trained.invstd);
    const Tensor y = trained.y.to(halnorm::Device::cpu());
    const Tensor dx = back.dx.to(halnorm::Device::cpu());
    Results all;
    for (const double invstd : trained.invstd.to_vector<double>()) {
      const auto channel = static_cast<std::int64_t>(all.size());
      std::vector<double> values = y.narrow(1, channel, 1).to_vector<double>();
      const std::vector<double> more = dx.narrow(1, channel, 1).to_vector<double>();
      values.insert(values.end(), more.begin(), more.end());
      values.push_back(invstd);
      all.push_back(std::move(values));
    }
    return all;
  }

  /// The kernel that ran was one of `operation`, whatever the layout and the dtype.
  static void expect_operation(const std::string& operation) {
    const std::string kernel = halnorm::last_kernel();
    const std::string layout = kernel.substr(std::min(kernel.size(), 8 + operation.size()));
    EXPECT_TRUE(kernel.starts_with("halnorm_" + operation)) << kernel;
    EXPECT_TRUE(layout.starts_with("_n")) << kernel;
  }
};

}  // namespace

TEST_P(DeviceSmall, TrainIsTheKernelOfOneLaunchWhereChannelsHaveFewValues) {
  F::batch_norm_train(data({most_values() / 128, 3, 128}), {}, {}, eps);
  expect_operation("batch_norm_train_single_pass");
  F::batch_norm_train(data({most_rows(), 3}), {}, {}, eps);
  expect_operation("batch_norm_train_single_pass");
  F::batch_norm_train(data({most_values() / 128 + 1, 3, 128}), {}, {}, eps);
  expect_operation("batch_norm_train");
  F::batch_norm_train(data({most_rows() + 1, 3}), {}, {}, eps);
  expect_operation("batch_norm_train");
}

TEST_P(DeviceSmall, SoIsBackward) {
  for (const std::int64_t rows : {most_rows(), most_rows() + 1}) {
    const Tensor x = data({rows, 3});
    const auto saved = F::batch_norm_train(x, {}, {}, eps);
    F::batch_norm_backward(x, x, {}, saved.mean, saved.invstd);
    expect_operation(rows == most_rows() ? "batch_norm_backward_single_pass"
                                         : "batch_norm_backward");
  }
}

TEST_P(DeviceSmall, SoAreWhatUpdatesOrAddsAndTheFusedForwards) {
  for (const std::int64_t rows : {most_rows(), most_rows() + 1}) {
    const std::string form = rows == most_rows() ? "_single_pass" : "";
    const Tensor x = data({rows, 3});
    halnorm::nn::BatchNorm1d plain(3);
    halnorm::nn::FusedBatchNorm1d fused(3);
    for (auto* layer : std::initializer_list<halnorm::nn::BatchNorm*>{&plain, &fused}) {
      const std::string name = layer == &plain ? "batch_norm_" : "batch_norm_fused_";
      layer->to(device(), dtype() == halnorm::DType::Float64 ? dtype() : halnorm::DType::Float32);
      (*layer)(x);
      expect_operation(name + "train_with_running_stats" + form);
      layer->backward(x);
      expect_operation("batch_norm_backward" + form);
      (*layer)(x);
      layer->backward(x);
      expect_operation("batch_norm_backward_accumulate" + form);
    }
    F::batch_norm_fused_train(x, x, {}, {}, eps);
    expect_operation("batch_norm_fused_train" + form);
  }
}

TEST_P(DeviceSmall, ANumberThatIsNoneStaysInItsChannel) {
  for (const std::int64_t rows : {7, 7000}) {  // the second in more than one launch
    const Tensor healthy = Tensor::randn({rows, 11, 5}, 3, dtype());
    const Results want = train_and_back(there(healthy));
    for (const double bad : {none, inf}) {
      Tensor x = healthy.clone();
      x.narrow(0, 3, 1).narrow(1, 6, 1).narrow(2, 2, 1).fill_(bad);
      const Results got = train_and_back(there(x));
      for (std::size_t c = 0; c < got.size(); ++c) {
        if (c == 6) {
          for (const double value : got[c]) {
            EXPECT_TRUE(std::isnan(value)) << rows << " rows, " << bad;
          }
        } else {
          EXPECT_TRUE(same_bits(got[c], want[c])) << "channel " << c << " beside " << bad;
        }
      }
    }
  }
}

TEST_P(DeviceSmall, TheSameCallGivesTheSameBits) {
  for (const halnorm::Shape& shape : {halnorm::Shape{17, 9, 31}, halnorm::Shape{9000, 37}}) {
    const Tensor x = data(shape);
    const auto once = F::batch_norm_train(x, {}, {}, eps);
    const auto again = F::batch_norm_train(x, {}, {}, eps);
    EXPECT_TRUE(same_bits(once.y.to_vector<double>(), again.y.to_vector<double>()));
    EXPECT_TRUE(same_bits(once.invstd.to_vector<double>(), again.invstd.to_vector<double>()));
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceSmall);
INSTANTIATE_TEST_SUITE_P(Devices, DeviceSmall, ::testing::ValuesIn(on_device::cases()),
                         on_device::name_of_param);
