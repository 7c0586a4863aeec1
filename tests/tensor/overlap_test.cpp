#include "support/calls.h"

namespace F = halnorm::functional;
using calls::Arguments;
using calls::expect_refused;
using calls::Function;
using halnorm::DType;
using halnorm::ShapeError;
using halnorm::Tensor;

TEST(Overlap, OutputsThatOverlapAnArgument) {
  const std::vector<Function> writers = {calls::train,         calls::train_update,   calls::infer,
                                         calls::backward,      calls::backward_infer, calls::elemt,
                                         calls::backward_elemt};
  for (const Function& function : writers) {
    Tensor memory = Tensor::randn({200}, 9);
    Arguments a;
    a.x = a.dy = memory.narrow(0, 0, 60).reshape({4, 3, 5});
    a.out = memory.narrow(0, 1, 60).reshape({4, 3, 5});
    expect_refused<ShapeError>(function, a, {"out overlaps"});
    Arguments b;
    b.weight = memory.narrow(0, 59, 3);
    b.out = memory.narrow(0, 0, 60).reshape({4, 3, 5});
    if (function.name != "batch_norm_train_update" && function.name != "batch_norm_infer") {
      expect_refused<ShapeError>(function, b, {"out overlaps"});
    }
  }
  for (const Function& function : {calls::backward, calls::backward_infer, calls::backward_elemt}) {
    Arguments a;
    a.out = a.x;  // x is still needed while dx is written
    expect_refused<ShapeError>(function, a, {"out overlaps"});
  }
  Arguments square;
  square.x = Tensor::randn({3, 3}, 9);
  square.out = square.x.transpose(0, 1);
  expect_refused<ShapeError>(calls::train, square, {"out overlaps"});
}

TEST(Overlap, OutputsWhoseElementsShareAPlace) {
  float memory[64] = {};
  for (const std::vector<std::int64_t>& strides :
       {std::vector<std::int64_t>{0, 5, 1}, {15, 0, 1}, {15, 1, 1}, {5, 5, 1}}) {
    Arguments a;
    a.out = Tensor::from_blob(memory, {4, 3, 5}, DType::Float32, strides);
    expect_refused<ShapeError>(calls::train, a, {"out", "a place of its own"});
  }
}

TEST(Overlap, RunningStatisticsThatShareAPlace) {
  float one = 1;
  Arguments a;
  a.running_var = Tensor::from_blob(&one, {3}, DType::Float32, {0});
  expect_refused<ShapeError>(calls::train_update, a, {"running_var"});
  EXPECT_NO_THROW(calls::infer.call(a)) << "it is only read";
  Arguments b;
  b.running_mean = b.running_var;
  expect_refused<ShapeError>(calls::train_update, b, {"running_mean", "running_var"});
}

TEST(Overlap, MomentsThatTheUpdateOfRunningStatisticsWouldOverwrite) {
  const Tensor count = Tensor::full({}, 17, DType::Float64);
  for (const DType dtype : {DType::Float64, DType::Float32}) {
    const Tensor memory = Tensor::ones({40}, dtype);
    const auto at = [&](std::int64_t first) { return memory.narrow(0, first, 3); };
    for (const std::int64_t overlapping : {0, 2, 9, 11}) {  // mean from 0, variance from 10
      for (const bool is_mean : {true, false}) {
        const F::Moments moments{count, at(is_mean ? overlapping : 30),
                                 at(is_mean ? 30 : overlapping)};
        expect_throws<ShapeError>([&] { F::update_running_stats(at(0), at(10), moments, 0.1); },
                                  {"update_running_stats", "overlap"});
      }
    }
    const F::Moments counted{memory.narrow(0, 1, 1).reshape({}), at(20), at(30)};
    memory.narrow(0, 1, 1).fill_(20);
    expect_throws<ShapeError>([&] { F::update_running_stats(at(0), at(10), counted, 0.1); },
                              {"update_running_stats", "overlap"});
    memory.narrow(0, 1, 1).fill_(1);
    EXPECT_EQ(inputs::doubles(memory), std::vector<double>(40, 1.0));
    F::update_running_stats(at(0), at(10), {count, at(3), at(13)}, 0.25);  // side by side
    EXPECT_EQ(inputs::doubles(at(10)), std::vector<double>(3, 0.75 + 0.25 / 16));
  }
}

// UndefinedBehaviorSanitizer reports a product of a stride that no element needs.
TEST(Overlap, TensorsWithoutElementsLieNowhere) {
  float memory[3] = {};
  Tensor none = Tensor::from_blob(memory, {0, 3}, DType::Float32, {std::int64_t{1} << 62, 1});
  EXPECT_EQ(none.numel(), 0);
  EXPECT_NO_THROW(none.copy_(Tensor::from_blob(memory, {0, 3}, DType::Float32)));
}

TEST(Overlap, WindowsOfOneBlockMayInterleave) {
  const Tensor block = Tensor::randn({4, 6, 10}, 1);
  Arguments a;
  a.x = block.narrow(1, 0, 3).narrow(2, 0, 5);
  const Tensor apart = calls::F::batch_norm_train(a.x, a.weight, a.bias, 1e-5).y;
  for (const Tensor& out :
       {block.narrow(1, 0, 3).narrow(2, 5, 5), block.narrow(1, 3, 3).narrow(2, 0, 5),
        block.narrow(1, 3, 3).narrow(2, 5, 5)}) {
    a.out = out;
    EXPECT_NO_THROW(calls::train.call(a));
    EXPECT_TRUE(calls::same_values(out, apart));
  }
  for (const Tensor& out :
       {block.narrow(1, 0, 3).narrow(2, 4, 5), block.narrow(1, 2, 3).narrow(2, 0, 5),
        block.narrow(1, 2, 3).narrow(2, 4, 5)}) {
    a.out = out;
    expect_refused<ShapeError>(calls::train, a, {"out overlaps"});
  }
}
