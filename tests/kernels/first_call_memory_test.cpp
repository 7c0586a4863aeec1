#include <gtest/gtest.h>

#include <functional>
#include <new>
#include <string>
#include <vector>

#include "halnorm/halnorm.h"
#include "support/child.h"
#include "support/failing_memory.h"

/// @file
/// The first call of a process, with every allocation failing once: it makes tables, threads and
/// the memory of a thread. Each first call is made in a forked child; this process makes none.

namespace F = halnorm::functional;
using halnorm::Tensor;

namespace {

using Bits = std::vector<double>;
using Call = std::function<Bits()>;

enum Outcome : int { right = 0, wrong = 1, unexpected = 2, no_failure = 3 };

/// In a child the nth allocation fails, and then the call is made again.
int outcome(const Call& call, int nth, failing_memory::Mode mode) {
  bool failed = false;
  try {
    const failing_memory::From from(nth, mode);
    call();
  } catch (const std::bad_alloc&) {
    failed = true;
  } catch (const halnorm::Error&) {
    failed = true;
  } catch (...) {
    return unexpected;
  }
  const Bits again = call();
  halnorm::set_num_threads(1);
  const bool same = again == call();
  return !same ? wrong : failed ? right : no_failure;
}

class FirstCall : public ::testing::TestWithParam<int> {
 protected:
  static void expect_exceptions(const Call& call) {
    for (const auto mode : {failing_memory::Mode::once, failing_memory::Mode::on}) {
      int status = right;
      int nth = 0;
      while (status == right && ++nth < 1000) {
        const pid_t id = child::start([&] {
          halnorm::set_num_threads(GetParam());
          return outcome(call, nth, mode);
        });
        ASSERT_EQ(::waitpid(id, &status, 0), id);
        ASSERT_TRUE(WIFEXITED(status)) << "allocation " << nth << ", signal " << WTERMSIG(status);
        status = WEXITSTATUS(status);
      }
      EXPECT_EQ(status, no_failure) << "allocation " << nth;
      EXPECT_GT(nth, 1);
    }
  }
};

TEST_P(FirstCall, OfAFunction) {
  const Tensor x = Tensor::randn({300, 70}, 1);
  expect_exceptions([&] { return F::batch_norm_train(x, {}, {}, 1e-5).y.to_vector<double>(); });
}

TEST_P(FirstCall, OfALayerThatIsTrained) {
  const Tensor x = Tensor::randn({3, 70, 301}, 1);
  expect_exceptions([&] {
    halnorm::nn::BatchNorm1d layer(70);
    layer(x);
    Bits all = layer.backward(x).to_vector<double>();
    const Bits mean = layer.running_mean.to_vector<double>();
    all.insert(all.end(), mean.begin(), mean.end());
    return all;
  });
}

TEST_P(FirstCall, OfTheTable) {
  expect_exceptions([] { return Bits{static_cast<double>(halnorm::targets().size())}; });
}

TEST(FirstCallOfThreads, ThatCannotStartOne) {
  const Tensor x = Tensor::randn({300, 70}, 1);
  child::expect_success([&] {
    halnorm::set_num_threads(4);
    const auto call = [&] { return F::batch_norm_moments(x).m2.to_vector<double>(); };
    std::string text;
    try {
      const failing_memory::NoThreads none;
      call();
    } catch (const halnorm::KernelError& error) {
      text = error.what();
    }
    const bool told = text.starts_with("batch_norm_moments: ") &&
                      text.find("no thread can be started") != std::string::npos &&
                      text.find("set_num_threads(1)") != std::string::npos;
    const Bits again = call();
    halnorm::set_num_threads(1);
    return told && again == call() ? 0 : 1;
  });
}

INSTANTIATE_TEST_SUITE_P(Threads, FirstCall, ::testing::Values(1, 4));

}  // namespace
