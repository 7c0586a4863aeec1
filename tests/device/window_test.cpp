// Tensors that are windows of larger ones: OpenCL's kernels read from the start of a memory, so
// that a window is copied to other memory, or refused.

#include <functional>

#include "device/on_device.h"
#include "support/kernel_test.h"
#include "support/throws.h"

namespace F = halnorm::functional;
using halnorm::DeviceType;
using halnorm::DType;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::FusedBatchNorm1d;

namespace {

constexpr double eps = 1e-5;
constexpr std::int64_t channels = 6;
constexpr double around = 77;

class DeviceWindow : public on_device::Test {
 protected:
  /// A window on the device with these values, in a larger tensor.
  [[nodiscard]] Tensor window_of(const Tensor& host) const {
    const Tensor flat = Tensor::full({host.numel() + 7}, around, host.dtype());
    flat.narrow(0, 3, host.numel()).copy_(host.reshape({host.numel()}));
    return flat.to(device()).narrow(0, 3, host.numel()).reshape(host.shape());
  }

  /// Which gradients are windows of one buffer, as in some optimizers.
  struct Flat {
    bool weight, bias;
  };

  struct Buffer {
    Tensor all = Tensor::full({3 * channels}, around);
    Tensor weight = Tensor::randn({channels}, 21);
    Tensor bias = Tensor::randn({channels}, 22);
  };

  void set_gradients(halnorm::nn::BatchNorm& layer, const Flat& flat, Buffer& b) const {
    b.all = b.all.to(device());
    const auto place = [&](bool is_window, std::int64_t first, const Tensor& values) {
      if (!is_window) {
        return values.to(device());
      }
      Tensor window = b.all.narrow(0, first, channels);
      window.copy_(values);
      return window;
    };
    layer.weight.set_grad(place(flat.weight, 2, b.weight));
    layer.bias.set_grad(place(flat.bias, channels + 2, b.bias));
  }

  /// A step on the device with these gradients has the results of a step on the CPU.
  template <class Layer>
  void expect_step(const Flat& flat, std::int64_t rows) const {
    const Tensor x = Tensor::randn({rows, channels}, 1);
    const Tensor dy = Tensor::randn({rows, channels}, 2);
    Layer here(channels);
    Layer there(channels);
    there.to(device());
    Buffer b;
    here.weight.set_grad(b.weight.clone());
    here.bias.set_grad(b.bias.clone());
    set_gradients(there, flat, b);
    here(x);
    here.backward(dy);
    there(x.to(device()));
    there.backward(dy.to(device()));
    expect_same(there.weight.grad(), here.weight.grad(), "weight.grad");
    expect_same(there.bias.grad(), here.bias.grad(), "bias.grad");
    const std::vector<double> all = b.all.to_vector<double>();
    for (std::int64_t i = 0; i < b.all.numel(); ++i) {
      const bool used = (flat.weight && i >= 2 && i < channels + 2) ||
                        (flat.bias && i >= channels + 2 && i < 2 * channels + 2);
      EXPECT_TRUE(used || all[static_cast<std::size_t>(i)] == around) << "element " << i;
    }
  }

  static void expect_same(const Tensor& got, const Tensor& want, const char* what) {
    const auto values = inputs::real(want.to_vector<double>());
    expect_near(got.to_vector<double>(), values, 1e-5 * (1 + largest(values)), what);
  }
};

}  // namespace

TEST_P(DeviceWindow, GradientsAreAddedToWhereTheyLie) {
  for (const Flat& flat : {Flat{true, true}, {true, false}, {false, true}, {false, false}}) {
    for (const std::int64_t rows : {9, 9000}) {  // in one launch, and in two
      SCOPED_TRACE(std::to_string(flat.weight) + std::to_string(flat.bias) + ", rows " +
                   std::to_string(rows));
      expect_step<BatchNorm1d>(flat, rows);
      expect_step<FusedBatchNorm1d>(flat, rows);
    }
  }
}

namespace {

/// Calls every operation; place(name, values) makes every argument except the data.
std::vector<Tensor> call_all(const Tensor& x,
                             const std::function<Tensor(const char*, const Tensor&)>& place) {
  const Tensor dy = Tensor::randn(x.shape(), 8).to(x.device());
  const auto values = [&](const char* name, int first, DType dtype = DType::Float32) {
    std::vector<double> all;
    for (int c = 0; c < channels; ++c) {
      all.push_back(0.5 + 0.25 * ((first + 3 * c) % 7));
    }
    return place(name, Tensor::from<double>(all, {channels}).to(dtype));
  };
  const Tensor weight = values("weight", 1);
  const Tensor bias = values("bias", 2);
  const Tensor running_mean = values("running_mean", 3);
  const Tensor running_var = values("running_var", 4);
  const Tensor mean = values("mean", 5, DType::Float64);
  const Tensor invstd = values("invstd", 6, DType::Float64);
  const Tensor sum = values("sum_dy", 7, DType::Float64);
  const Tensor count = Tensor::full({}, 20, DType::Float64);
  const Tensor y =
      F::batch_norm_train_update(x, running_mean, running_var, weight, bias, 0.1, eps).y;
  const Tensor infer = F::batch_norm_infer(x, running_mean, running_var, weight, bias, eps);
  const auto back = F::batch_norm_backward(dy, x, weight, mean, invstd);
  const Tensor elemt = F::batch_norm_backward_elemt(dy, x, mean, invstd, weight, sum, mean, count);
  const auto fused = F::batch_norm_fused_backward(dy, x, y, weight, mean, invstd);
  F::update_running_stats(running_mean, running_var, {count, mean, invstd}, 0.1);
  return {y, infer, back.dx, elemt, fused.dx, back.dbias, fused.dweight, running_mean, running_var};
}

}  // namespace

TEST_P(DeviceWindow, OtherTensorsAreReadWhereTheyLieOrRefused) {
  for (const std::int64_t rows : {9, 9000}) {
    const Tensor x = Tensor::randn({rows, channels}, 9).to(device());
    const auto dense = [&](const char*, const Tensor& host) { return host.to(device()); };
    const std::vector<Tensor> want = call_all(x, dense);
    for (const std::string one :
         {"weight", "bias", "running_mean", "running_var", "mean", "invstd", "sum_dy"}) {
      SCOPED_TRACE(one);
      const auto call = [&] {
        return call_all(x, [&](const char* name, const Tensor& host) {
          return one == name ? window_of(host) : host.to(device());
        });
      };
      if (device().type == DeviceType::OpenCL) {
        expect_throws<halnorm::DeviceError>(call, {one + " is a part of a tensor", "clone()"});
        continue;
      }
      const std::vector<Tensor> got = call();
      for (std::size_t i = 0; i < want.size(); ++i) {
        expect_same(got[i], want[i], one.c_str());
      }
    }
  }
}

TEST_P(DeviceWindow, DataIsReadAndWrittenWhereItLies) {
  for (const std::int64_t rows : {9, 9000}) {
    const Tensor host = Tensor::randn({rows, channels}, 9);
    const Tensor x = window_of(host);
    const Tensor out = window_of(Tensor::zeros({rows, channels}));
    const Tensor y = F::batch_norm_train(x, {}, {}, eps, out).y;
    EXPECT_TRUE(y.is_same(out));
    expect_same(out, F::batch_norm_train(host, {}, {}, eps).y, "y");
    const auto saved = F::batch_norm_train(x, {}, {}, eps);
    F::batch_norm_backward(x, x, {}, saved.mean, saved.invstd, out);
    const auto here = F::batch_norm_train(host, {}, {}, eps);
    expect_same(out, F::batch_norm_backward(host, host, {}, here.mean, here.invstd).dx, "dx");
  }
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceWindow);
INSTANTIATE_TEST_SUITE_P(Devices, DeviceWindow, ::testing::ValuesIn(on_device::one_case_each()),
                         on_device::name_of_param);
