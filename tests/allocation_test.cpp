#include <HalideRuntime.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "halnorm/halnorm.h"
#include "support/failing_memory.h"

/// @file
/// Every allocation of a call fails once, those of Halide and of the C library included: the call
/// throws, and nothing that outlives it has changed.

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;

namespace {

using Bits = std::vector<double>;

void keep(Bits& bits, const Tensor& tensor) {
  if (tensor.defined()) {
    const Bits values = tensor.to_vector<double>();
    bits.insert(bits.end(), values.begin(), values.end());
  }
}

/// What a call may read and, if it succeeds, write.
struct State {
  DType dtype;
  DType parameters;
  halnorm::Shape shape;
  Tensor x = Tensor::randn(shape, 1, dtype);
  Tensor dy = Tensor::randn(shape, 2, dtype);
  Tensor weight = Tensor::randn({shape[1]}, 3, parameters);
  Tensor bias = Tensor::randn({shape[1]}, 4, parameters);
  Tensor running_mean = Tensor::randn({shape[1]}, 5, parameters);
  Tensor running_var = Tensor::ones({shape[1]}, parameters);
  F::BatchNormForward forward = F::batch_norm_train(x, weight, bias, 1e-5);
  F::Moments moments = F::batch_norm_moments(x);

  [[nodiscard]] Bits bits() const {
    Bits all;
    for (const Tensor& tensor :
         {x, dy, weight, bias, running_mean, running_var, forward.mean, moments.m2}) {
      keep(all, tensor);
    }
    return all;
  }
};

/// The call fails at its first allocation, at its second, ..., until one attempt needs no more.
/// `state` tells what has to stay as it is meanwhile. Returns how many allocations there are.
int fail_at_each_allocation(const std::function<Bits()>& state, const std::function<void()>& call,
                            failing_memory::Mode mode) {
  const Bits before = state();
  for (int allocation = 1; allocation < 10000; ++allocation) {
    bool failed = false;
    try {
      const failing_memory::From from(allocation, mode);
      call();
    } catch (const std::bad_alloc&) {
      failed = true;
    } catch (const halnorm::KernelError& error) {
      failed = true;
      const std::string text = error.what();
      EXPECT_TRUE(text.find("Out of memory") != std::string::npos ||
                  text.find("no thread can be started") != std::string::npos)
          << text;
    }
    if (!failed) {
      return allocation - 1;
    }
    EXPECT_EQ(state(), before) << "after allocation " << allocation << " failed";
    if (::testing::Test::HasFailure()) {
      break;
    }
  }
  ADD_FAILURE() << "the call never succeeded";
  return 0;
}

void expect_unchanged(const std::function<Bits()>& state, const std::function<void()>& call) {
  for (const failing_memory::Mode mode : {failing_memory::Mode::once, failing_memory::Mode::on}) {
    EXPECT_GT(fail_at_each_allocation(state, call, mode), 0);
  }
}

class Allocation : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override { halnorm::set_num_threads(GetParam()); }
  void TearDown() override { halnorm::set_num_threads(0); }

  static std::vector<State> states() {
    std::vector<State> all;
    for (const auto& [dtype, parameters] : {std::pair{DType::Float32, DType::Float32},
                                            {DType::Float64, DType::Float64},
                                            {DType::BFloat16, DType::BFloat16},
                                            {DType::Float32, DType::Float64}}) {
      for (const halnorm::Shape& shape : {halnorm::Shape{60, 70}, {3, 70, 33}}) {
        all.push_back({dtype, parameters, shape});
      }
    }
    return all;
  }
};

}  // namespace

TEST_P(Allocation, FunctionsLeaveTheirArgumentsAlone) {
  for (State& s : states()) {
    const auto bits = [&] { return s.bits(); };
    expect_unchanged(bits, [&] { F::batch_norm_train(s.x, s.weight, s.bias, 1e-5); });
    expect_unchanged(bits, [&] {
      F::batch_norm_infer(s.x, s.running_mean, s.running_var, s.weight, s.bias, 1e-5);
    });
    expect_unchanged(bits, [&] {
      F::batch_norm_backward(s.dy, s.x, s.weight, s.forward.mean, s.forward.invstd);
    });
    expect_unchanged(bits, [&] {
      F::batch_norm_backward_infer(s.dy, s.x, s.weight, s.running_mean, s.running_var, 1e-5);
    });
    expect_unchanged(bits, [&] { F::batch_norm_moments(s.x); });
    expect_unchanged(bits, [&] {
      F::batch_norm_backward_reduce(s.dy, s.x, s.forward.mean, s.forward.invstd, s.weight);
    });
  }
}

TEST_P(Allocation, RunningStatisticsAreUpdatedTogetherOrNotAtAll) {
  for (State& s : states()) {
    const Tensor both = Tensor::ones({s.shape[1], 2}, s.parameters);
    const Tensor mean = both.narrow(1, 0, 1).reshape({s.shape[1]});
    const Tensor variance = both.narrow(1, 1, 1).reshape({s.shape[1]});
    for (const bool strided : {false, true}) {
      const Tensor& m = strided ? mean : s.running_mean;
      const Tensor& v = strided ? variance : s.running_var;
      const auto bits = [&] {
        Bits all = s.bits();
        keep(all, both);
        return all;
      };
      // A success updates them, and the next round starts from there.
      expect_unchanged(bits,
                       [&] { F::batch_norm_train_update(s.x, m, v, s.weight, s.bias, 0.1, 1e-5); });
      const auto update = [&] { F::update_running_stats(m, v, s.moments, 0.1); };
      for (const auto mode : {failing_memory::Mode::once, failing_memory::Mode::on}) {
        fail_at_each_allocation(bits, update, mode);
      }
    }
  }
}

TEST_P(Allocation, AModuleIsAsItWas) {
  for (const bool track : {true, false}) {
    BatchNorm1d layer(70, {.track_running_stats = track});
    const Tensor x = Tensor::randn({3, 70, 33}, 1);
    const Tensor dy = Tensor::randn({3, 70, 33}, 2);
    const auto bits = [&] {
      Bits all;
      for (const Tensor& tensor :
           {x, dy, layer.weight.data(), layer.bias.data(), layer.weight.grad(), layer.bias.grad(),
            layer.running_mean, layer.running_var, layer.num_batches_tracked}) {
        keep(all, tensor);
      }
      return all;
    };
    expect_unchanged(bits, [&] { layer(x); });
    // Twice: the first gradients are new tensors, the second are added to them. A failed backward
    // leaves its forward to be differentiated.
    expect_unchanged(bits, [&] { layer.backward(dy); });
    EXPECT_TRUE(layer.weight.grad().defined());
    layer.clear_saved_forwards();
    layer.eval();
    expect_unchanged(bits, [&] { layer(x); });
    expect_unchanged(bits, [&] { layer.backward(dy); });
  }
}

namespace {

using Layers = std::vector<std::shared_ptr<halnorm::nn::Module>>;

/// Several layers, and all that they hold. A buffer of many axes needs memory to be walked.
struct Tree {
  halnorm::nn::Sequential net{Layers{std::make_shared<BatchNorm1d>(5),
                                     std::make_shared<BatchNorm1d>(5),
                                     std::make_shared<BatchNorm1d>(5)}};
  Tensor many_axes = net.register_buffer(
      "axes", Tensor::randn({2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3}, 9).transpose(0, 11));

  Tree() {
    std::uint64_t seed = 0;
    for (const auto& parameter : net.parameters()) {
      parameter.data().copy_(Tensor::randn({5}, ++seed));
      parameter.set_grad(Tensor::randn({5}, ++seed));
    }
    for (Tensor buffer : net.buffers()) {
      buffer.fill_(static_cast<double>(++seed));
    }
  }

  [[nodiscard]] Bits bits() {
    Bits all;
    for (const auto& parameter : net.parameters()) {
      keep(all, parameter.data());
      keep(all, parameter.grad());
      all.push_back(parameter.requires_grad() ? 1 : 0);
      all.push_back(static_cast<double>(parameter.data().dtype()));
      all.push_back(parameter.grad().defined() ? 1 : 0);
    }
    for (const Tensor& buffer : net.buffers()) {
      keep(all, buffer);
      all.push_back(static_cast<double>(buffer.dtype()));
    }
    for (const halnorm::nn::Module* module : net.modules()) {
      all.push_back(module->is_training() ? 1 : 0);
    }
    return all;
  }
};

}  // namespace

TEST(AllocationOfModules, ATreeChangesAsAWhole) {
  const halnorm::StateDict other = [] {
    Tree tree;
    for (const auto& [name, tensor] : tree.net.state_dict()) {
      Tensor(tensor).fill_(3);
    }
    return tree.net.state_dict();
  }();
  halnorm::StateDict partial = other;
  partial.erase("1.weight");
  const std::vector<std::function<void(Tree&)>> changes = {
      [&](Tree& tree) { tree.net.load_state_dict(other); },
      [&](Tree& tree) { tree.net.load_state_dict(partial, false); },
      [](Tree& tree) { tree.net.zero_grad(); },
      [](Tree& tree) { tree.net.zero_grad(true); },
      [](Tree& tree) { tree.net.requires_grad_(false); },
      [](Tree& tree) { tree.net.eval(); },
      [](Tree& tree) { tree.net.to(DType::Float64); },
      [](Tree& tree) {
        tree.net.apply_to_tensors([](const Tensor& tensor) { return tensor.clone(); });
      },
      [](Tree& tree) { dynamic_cast<BatchNorm1d&>(*tree.net.at(1)).reset_parameters(); },
      [](Tree& tree) { dynamic_cast<BatchNorm1d&>(*tree.net.at(1)).reset_running_stats(); },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    SCOPED_TRACE(i);
    for (const auto mode : {failing_memory::Mode::once, failing_memory::Mode::on}) {
      Tree tree;
      const int allocations =
          fail_at_each_allocation([&] { return tree.bits(); }, [&] { changes[i](tree); }, mode);
      EXPECT_GT(allocations, 0);
      Tree wanted;
      changes[i](wanted);
      EXPECT_EQ(tree.bits(), wanted.bits()) << "the retry";
    }
  }
}

/// What belongs to a thread comes with its first call.
TEST_P(Allocation, AThreadsFirstCallThrows) {
  const Tensor x = Tensor::randn({300, 70}, 1);
  const auto call = [&] { return F::batch_norm_train(x, {}, {}, 1e-5).y.to_vector<double>(); };
  const Bits wanted = call();
  bool more = true;
  for (int nth = 1; more; ++nth) {
    std::thread([&] {
      more = false;
      try {
        const failing_memory::From from(nth, failing_memory::Mode::once);
        call();
      } catch (const std::bad_alloc&) {
        more = true;
      } catch (const halnorm::KernelError&) {
        more = true;
      }
      EXPECT_EQ(call(), wanted);
    }).join();
    ASSERT_LT(nth, 1000);
  }
}

TEST_P(Allocation, AnErrorFindsItsPathOrThrowsAnother) {
  auto inner = std::make_shared<halnorm::nn::Sequential>(Layers{std::make_shared<BatchNorm1d>(5)});
  halnorm::nn::Sequential net(Layers{std::make_shared<BatchNorm1d>(5), inner});
  inner->register_forward_pre_hook([](halnorm::nn::Module&, const Tensor& x) {
    return x.reshape({x.numel()});  // one axis too few for what comes
  });
  const Tensor x = Tensor::randn({3, 5}, 1);
  for (int nth = 1;; ++nth) {
    ASSERT_LT(nth, 10000);
    try {
      const failing_memory::From from(nth, failing_memory::Mode::once);
      net(x);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::bad_alloc&) {
      continue;
    } catch (const halnorm::KernelError&) {
      continue;
    } catch (const halnorm::ShapeError& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("1.0: ")) << error.what();
      break;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, Allocation, ::testing::Values(1, 4));

TEST(KernelFailure, IsAKernelErrorWithItsReason) {
  const Tensor x = Tensor::randn({3, 70, 33}, 1);
  for (const int threads : {1, 4}) {
    halnorm::set_num_threads(threads);
    F::batch_norm_train(x, {}, {}, 1e-5);
    try {
      const failing_memory::InKernels kernels;
      F::batch_norm_train(x, {}, {}, 1e-5);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const halnorm::KernelError& error) {
      const std::string text = error.what();
      for (const char* part : {"batch_norm_train: kernel halnorm_batch_norm_train_ncl_f32__",
                               "failed with code -11", "Out of memory"}) {
        EXPECT_NE(text.find(part), std::string::npos) << text;
      }
    }
  }
  halnorm::set_num_threads(0);
}
