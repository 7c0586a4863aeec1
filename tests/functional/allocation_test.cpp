#include <HalideRuntime.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "halnorm/halnorm.h"
#include "support/failing_calls.h"
#include "support/failing_memory.h"

/// @file
/// Every allocation of a call fails once, those of Halide and of the C library included: the call
/// throws, and nothing that outlives it has changed.

namespace F = halnorm::functional;
using failing_memory::Bits;
using failing_memory::expect_unchanged;
using failing_memory::fail_at_each_allocation;
using failing_memory::keep;
using halnorm::DType;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;

namespace {

/// The tensors that a call reads and, if it succeeds, writes.
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
      // A successful call updates both, and the next round starts from the new values.
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
    // The backward runs twice: the first gradients are new tensors, the second are added to them.
    // After a failed backward its forward can still be differentiated.
    expect_unchanged(bits, [&] { layer.backward(dy); });
    EXPECT_TRUE(layer.weight.grad().defined());
    layer.clear_saved_forwards();
    layer.eval();
    expect_unchanged(bits, [&] { layer(x); });
    expect_unchanged(bits, [&] { layer.backward(dy); });
  }
}

/// The first call of a thread allocates the thread's own memory.
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
      for (const char* part : {"batch_norm_train: kernel halnorm_batch_norm_train_exact_ncl_f32__",
                               "failed with code -11", "Out of memory"}) {
        EXPECT_NE(text.find(part), std::string::npos) << text;
      }
    }
  }
  halnorm::set_num_threads(0);
}
