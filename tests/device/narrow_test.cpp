#include <cmath>
#include <cstdint>
#include <cstring>

#include "device/on_device.h"
#include "support/cases/element.h"

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;

namespace {

class DeviceNarrow : public on_device::Test {
 protected:
  void SetUp() override {
    on_device::Test::SetUp();
    if (halnorm::size_of(dtype()) != 2) {
      GTEST_SKIP() << "16 bits are asked about";
    }
  }

  /// Every number of the dtype, as (65536, 1).
  [[nodiscard]] Tensor every_number() const {
    Tensor all = Tensor::empty({65536, 1}, dtype());
    auto* bits = static_cast<std::uint16_t*>(all.raw_data());
    for (std::uint32_t i = 0; i < 65536; ++i) {
      bits[i] = static_cast<std::uint16_t>(i);
    }
    return all;
  }
};

}  // namespace

// x * factor is exact in float32, so that the only rounding is the one to 16 bits: through normal
// numbers, subnormals, ties, zero and infinity.
TEST_P(DeviceNarrow, EveryNumberTimesAFactorIsRoundedOnceToNearestEven) {
  const Tensor x = every_number();
  const std::vector<double> numbers = x.to_vector<double>();
  const Tensor one = Tensor::ones({1}, DType::Float64, device());
  const Tensor zero = Tensor::zeros({1}, DType::Float64, device());
  for (const double factor : {1.0, -1.0, 0.5, 0.125, 0.0009765625, 1.5, 4.0, 1.25, 65536.0}) {
    SCOPED_TRACE(factor);
    const Tensor weight = Tensor::full({1}, factor, DType::Float32, device());
    const Tensor y = F::batch_norm_elemt(x.to(device()), weight, {}, zero, one);
    const std::vector<double> got = y.to_vector<double>();
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const double exact = numbers[i] * factor;
      if (std::isnan(exact)) {
        ASSERT_TRUE(std::isnan(got[i])) << i;
      } else if (std::fabs(exact) < 1e38) {
        ASSERT_EQ(got[i], element::rounded(dtype(), exact))
            << "number " << i << " = " << numbers[i];
      }
    }
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceNarrow);
INSTANTIATE_TEST_SUITE_P(Devices, DeviceNarrow, ::testing::ValuesIn(on_device::cases()),
                         on_device::name_of_param);
