#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::values;
using halnorm::Device;
using halnorm::DeviceError;
using halnorm::DType;
using halnorm::Tensor;
using halnorm::ValueError;
using namespace halnorm::nn;

namespace {

template <class M>
void expect_own_type(M& module) {
  const auto check = [&](auto& returned) {
    static_assert(std::is_same_v<decltype(returned), M&>);
    EXPECT_EQ(&returned, &module);
  };
  check(module.train());
  check(module.eval());
  check(module.requires_grad_(true));
  check(module.apply([](Module&) {}));
  check(module.to(DType::Float64));
  check(module.to(Device::cpu()));
  check(module.to("cpu"));
  check(module.to("cpu", DType::Float32));
  check(module.to(Tensor::zeros({1})));
  check(module.cpu());
  check(module.to_double());
  check(module.to_half());
  check(module.to_bfloat16());
  check(module.to_float());
  check(module.apply_to_tensors([](const Tensor& t) { return t; }));
  static_assert(std::is_same_v<decltype(module.clone()), std::shared_ptr<M>>);
  static_assert(std::is_same_v<decltype(module.to_global()), M&>);
  static_assert(std::is_same_v<decltype(module.to_local()), M&>);
  static_assert(std::is_same_v<decltype(module.cuda()), M&>);
}

/// A class of a user, which keeps its type too.
class Doubled : public Typed<Doubled> {
 public:
  Doubled() { bind_module("norm", norm); }
  Tensor forward(const Tensor& x) override { return norm(x); }
  BatchNorm1d norm{2};

 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override {
    return std::make_shared<Doubled>();
  }
};

const Tensor x = Tensor::randn({8, 2}, 1);

}  // namespace

TEST(Typed, ChainsKeepTheClass) {
  BatchNorm1d one(2);
  expect_own_type(one);
  BatchNorm2d two(2);
  expect_own_type(two);
  BatchNorm3d three(2);
  expect_own_type(three);
  FusedBatchNorm1d fused(2);
  expect_own_type(fused);
  SyncBatchNorm sync(2);
  expect_own_type(sync);
  Sequential sequential;
  expect_own_type(sequential);
  ModuleList list;
  expect_own_type(list);
  ModuleDict dict;
  expect_own_type(dict);
  Doubled doubled;
  expect_own_type(doubled);
}

TEST(Typed, ChainsEndInACallWithOut) {
  BatchNorm1d layer(2);
  const Tensor out = Tensor::empty({8, 2});
  layer.eval().to("cpu").requires_grad_(false)(x, out);
  EXPECT_EQ(values(out), values(layer(x)));
}

TEST(Typed, ClonesAreOfTheClass) {
  Doubled module;
  module.norm.running_mean.fill_(3);
  const auto copy = module.clone();
  EXPECT_EQ(values(copy->norm.running_mean), values(module.norm.running_mean));
  const std::shared_ptr<BatchNorm1d> layer = BatchNorm1d(4, {.eps = 0.5}).clone();
  EXPECT_EQ(layer->eps(), 0.5);
}

TEST(Typed, DevicesByName) {
  EXPECT_EQ(Tensor::zeros({1}).to("cpu").device(), "cpu");
  const std::string name = "cuda:65";
  expect_throws<DeviceError>([&] { BatchNorm1d(2).to(name); }, {"cuda:65"});
  expect_throws<DeviceError>([&] { BatchNorm1d(2).to("gpu"); }, {"gpu"});
}

TEST(Typed, OptionsInBraces) {
  Sequential net;
  net.emplace<BatchNorm1d>(2, {.momentum = 0.25});
  net.emplace<FusedBatchNorm1d>(2, {.eps = 1e-3, .affine = false});
  const BatchNormOptions options{.eps = 0.125};
  net.emplace<BatchNorm1d>(3, options);
  net.emplace<BatchNorm1d>(4);
  EXPECT_EQ(net.str(),
            "Sequential(\n"
            "  (0): BatchNorm1d(2, eps=1e-05, momentum=0.25, affine=True, "
            "track_running_stats=True)\n"
            "  (1): FusedBatchNorm1d(2, eps=0.001, momentum=0.1, affine=False, "
            "track_running_stats=True)\n"
            "  (2): BatchNorm1d(3, eps=0.125, momentum=0.1, affine=True, "
            "track_running_stats=True)\n"
            "  (3): BatchNorm1d(4, eps=1e-05, momentum=0.1, affine=True, "
            "track_running_stats=True)\n"
            ")");
}

TEST(ConstModule, ComputesInEvalModeAndKeepsNothing) {
  BatchNorm1d layer(2);
  layer(x);
  layer.clear_saved_forwards();
  const auto want = values(layer.eval()(x));
  layer.clear_saved_forwards();
  const BatchNorm1d& unchanged = layer;
  EXPECT_EQ(values(unchanged(x)), want);
  const Tensor out = Tensor::empty({8, 2});
  EXPECT_TRUE(unchanged(x, out).is_same(out));
  EXPECT_EQ(values(out), want);
  EXPECT_EQ(values(std::as_const(static_cast<Module&>(layer))(x)), want);
  EXPECT_EQ(layer.pending_backwards(), 0U);
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 1);
}

TEST(ConstModule, OfAFusedLayer) {
  FusedBatchNorm1d layer(2);
  layer(x);
  layer.eval();
  const FusedBatchNorm1d& unchanged = layer;
  EXPECT_EQ(values(unchanged(x)), values(layer(x)));
  EXPECT_EQ(values(unchanged(x, x)), values(layer(x, x)));
}

TEST(ConstModule, IsRefusedInTrainingMode) {
  const BatchNorm1d layer(2);
  expect_throws<ValueError>([&] { layer(x); },
                            {"BatchNorm1d", "const module in training mode", "wanted eval mode"});
  expect_throws<ValueError>([&] { layer(x, Tensor::empty({8, 2})); }, {"const module"});
  const FusedBatchNorm1d fused(2);
  expect_throws<ValueError>([&] { fused(x, x); }, {"FusedBatchNorm1d", "const module"});
}

TEST(ConstModule, LooksAtAllBelow) {
  Sequential net;
  net.emplace<Sequential>()->emplace<BatchNorm1d>(2)->running_mean.fill_(1);
  net.eval();
  const Sequential& unchanged = net;
  EXPECT_EQ(values(unchanged(x)), values(net(x)));
  net.get_submodule("0.0").set_training(true);
  expect_throws<ValueError>([&] { unchanged(x); }, {"0.0: BatchNorm1d", "training mode"});
  EXPECT_EQ(values(net.get_buffer("0.0.running_mean")), (std::vector<double>{1, 1}));
}
