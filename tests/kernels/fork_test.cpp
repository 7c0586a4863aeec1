#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <iterator>
#include <thread>
#include <vector>

#include "halnorm/halnorm.h"
#include "support/child.h"
#include "support/host_loop.h"

/// @file
/// After a fork, parent and child compute and end, whatever other threads are doing.

/// The leak sanitizer calls this function. A child does not have the stacks and thread-local lists
/// through which the parent's threads hold their memory, so that all of it would be a leak.
extern "C" int __lsan_is_turned_off() { return child::is_one ? 1 : 0; }  // NOLINT

namespace {

using host_loop::results;
using Results = std::vector<double>;

const halnorm::Shape& shape() { return host_loop::shapes.front(); }

std::ptrdiff_t threads_of_this_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

/// Calls `body` repeatedly in separate threads during its lifetime.
class Busy {
 public:
  Busy(int count, const std::function<void()>& body) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this, body] {
        while (!ends_) {
          body();
        }
      });
    }
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  ~Busy() {
    ends_ = true;
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }

 private:
  std::atomic<bool> ends_{false};
  std::vector<std::thread> threads_;
};

class Fork : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    halnorm::set_num_threads(1);
    alone = results(shape());
    halnorm::set_num_threads(GetParam());
  }
  void TearDown() override { halnorm::set_num_threads(0); }

  [[nodiscard]] int check() const { return results(shape()) == alone ? 0 : 1; }

  Results alone;
};

TEST_P(Fork, AChildThatOnlyExits) {
  EXPECT_EQ(check(), 0);
  child::expect_success([] { return 0; });
  EXPECT_EQ(check(), 0);
}

TEST_P(Fork, AChildThatComputesHasThreadsOfItsOwn) {
  EXPECT_EQ(check(), 0);
  child::expect_success([&] {
    if (threads_of_this_process() != 1) {
      return 2;
    }
    return check() == 0 && threads_of_this_process() > 1 ? 0 : 1;
  });
  EXPECT_EQ(check(), 0);
}

/// A batch of more than 64 tasks, so that all threads start.
TEST_P(Fork, AChildHasAsManyThreadsAsItsParent) {
  const halnorm::Tensor x = halnorm::Tensor::randn({2, 4096, 700}, 1);
  const auto call = [&] {
    return halnorm::functional::batch_norm_moments(x).m2.to_vector<double>();
  };
  const Results wanted = call();
  EXPECT_GE(threads_of_this_process(), GetParam());
  child::expect_success(
      [&] { return call() == wanted && threads_of_this_process() == GetParam() ? 0 : 1; });
  EXPECT_EQ(call(), wanted);
}

TEST_P(Fork, BeforeTheFirstCall) {
  child::expect_success([&] { return check(); });
  EXPECT_EQ(check(), 0);
}

TEST_P(Fork, AChildOfAChild) {
  EXPECT_EQ(check(), 0);
  child::expect_success([&] {
    const int right = check();
    child::expect_success([&] { return check(); });
    return right + check() + (::testing::Test::HasFailure() ? 1 : 0);
  });
}

TEST_P(Fork, WhileOtherThreadsCompute) {
  std::atomic<int> wrong{0};
  {
    const Busy busy(3, [&] { wrong += check(); });
    for (int i = 0; i < 20; ++i) {
      child::expect_success([] { return 0; });
      child::expect_success([&] { return check() + check(); });
    }
  }
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(check(), 0);
}

TEST_P(Fork, ManyChildrenAtOnce) {
  EXPECT_EQ(check(), 0);
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    children.push_back(child::start([&] { return check(); }));
  }
  EXPECT_EQ(check(), 0);
  for (const pid_t id : children) {
    child::expect_success(id);
  }
}

/// The records of forwards are guarded by a lock, which another thread may hold.
TEST_P(Fork, WhileOtherThreadsUseTheSameModule) {
  halnorm::nn::BatchNorm1d layer(70);
  const halnorm::Tensor x = halnorm::Tensor::randn({4, 70}, 1);
  layer(x);
  layer.eval();
  const Results wanted = layer(x).to_vector<double>();
  const auto right = [&] { return layer(x).to_vector<double>() == wanted; };
  std::atomic<int> wrong{0};
  {
    const Busy busy(3, [&] { wrong += right() ? 0 : 1; });
    for (int i = 0; i < 40; ++i) {
      child::expect_success([&] {
        int errors = 0;
        for (int round = 0; round < 20; ++round) {
          errors += right() ? 0 : 1;
        }
        layer.backward(x);
        layer.clear_saved_forwards();
        return errors;
      });
    }
  }
  EXPECT_EQ(wrong.load(), 0);
}

TEST_P(Fork, FromAThreadThatIsNotTheFirst) {
  EXPECT_EQ(check(), 0);
  std::thread([&] { child::expect_success([&] { return check(); }); }).join();
  EXPECT_EQ(check(), 0);
}

INSTANTIATE_TEST_SUITE_P(Threads, Fork, ::testing::Values(2, 4, 16, 64));

}  // namespace
