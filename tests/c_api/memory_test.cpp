#include <gtest/gtest.h>
#include <halnorm/halnorm_c.h>

#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "support/failing_memory.h"

/// @file
/// Every allocation of a C call fails once: the call has a status and a message, running statistics
/// and inputs have not changed, and the next attempt is right.

namespace {

using failing_memory::From;
using failing_memory::Mode;

std::size_t count_of(const std::vector<std::int64_t>& extents) {
  std::int64_t count = 1;
  for (const std::int64_t extent : extents) {
    count *= extent;
  }
  return static_cast<std::size_t>(count);
}

/// One tensor of float32 or float64 that owns its elements.
template <class T>
struct Owned {
  std::vector<T> values;
  std::vector<std::int64_t> shape;
  DLTensor tensor;

  Owned(std::vector<std::int64_t> extents, T value)
      : values(count_of(extents), value),
        shape(std::move(extents)),
        tensor{values.data(),
               {kDLCPU, 0},
               static_cast<int>(shape.size()),
               {kDLFloat, static_cast<std::uint8_t>(8 * sizeof(T)), 1},
               shape.data(),
               nullptr,
               0} {}
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
};

struct Batch {
  Owned<float> x{{20, 100, 3}, 0}, y{{20, 100, 3}, 0}, weight{{100}, 2}, mean{{100}, 0},
      var{{100}, 1}, dweight{{100}, 0};
  Owned<double> invstd{{100}, 1}, batch_mean{{100}, 0};
  Owned<float> narrow_mean{{100}, 0};

  Batch() {
    for (std::size_t i = 0; i < x.values.size(); ++i) {
      x.values[i] = static_cast<float>(i % 7);
    }
  }
  /// The values that a failed call must not change.
  [[nodiscard]] std::vector<float> kept() const {
    std::vector<float> all = x.values;
    for (const auto* values : {&weight.values, &mean.values, &var.values}) {
      all.insert(all.end(), values->begin(), values->end());
    }
    return all;
  }
};

/// The call fails at its first allocation, at its second, ..., until one attempt needs no more.
/// Each attempt runs on a new thread, which has no blocks of earlier calls. Returns the number of
/// failures.
int fail_at_each(const Batch& batch, const std::function<halnorm_status()>& call, Mode mode) {
  int failures = 0;
  for (int allocation = 1; allocation < 1000; ++allocation) {
    const std::vector<float> before = batch.kept();
    halnorm_status status = HALNORM_INTERNAL_ERROR;
    std::string message;
    std::thread([&] {
      {
        const From from(allocation, mode);
        status = call();
      }
      message = halnorm_last_error();
    }).join();
    if (status == HALNORM_OK) {
      return failures;
    }
    ++failures;
    EXPECT_TRUE(status == HALNORM_OUT_OF_MEMORY || status == HALNORM_KERNEL_ERROR) << status;
    EXPECT_EQ(message.rfind("halnorm_batch_norm_", 0), 0U) << message;
    EXPECT_EQ(batch.kept(), before) << message;
  }
  ADD_FAILURE() << "the call never succeeded";
  return failures;
}

TEST(CInterfaceMemory, AFailedCallHasAStatusAndChangesNothing) {
  Batch b;
  const auto train = [&] {
    return halnorm_batch_norm_train(&b.x.tensor, &b.weight.tensor, nullptr, &b.mean.tensor,
                                    &b.var.tensor, 0.5, 1e-5, &b.y.tensor, &b.narrow_mean.tensor,
                                    &b.invstd.tensor);
  };
  const auto backward = [&] {
    return halnorm_batch_norm_backward(&b.x.tensor, &b.x.tensor, &b.weight.tensor,
                                       &b.batch_mean.tensor, &b.invstd.tensor, &b.y.tensor,
                                       &b.dweight.tensor, nullptr);
  };
  for (const Mode mode : {Mode::once, Mode::on}) {
    EXPECT_GT(fail_at_each(b, train, mode), 0);
    EXPECT_GT(fail_at_each(b, backward, mode), 0);
  }
  double sum = 0;  // of the first channel
  for (std::size_t n = 0; n < 20; ++n) {
    sum += b.x.values[n * 300] + b.x.values[n * 300 + 1] + b.x.values[n * 300 + 2];
  }
  EXPECT_EQ(b.narrow_mean.values[0], static_cast<float>(sum / 60));
}

}  // namespace
