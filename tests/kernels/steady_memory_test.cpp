#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <new>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "halnorm/halnorm.h"

/// @file
/// A repeated call takes no memory from the allocator, with out= or a small output.

namespace {
std::atomic<int> allocations{0};

void* counted(std::size_t bytes) noexcept {
  ++allocations;
  return std::malloc(bytes);
}

void* counted_or_throw(std::size_t bytes) {
  void* memory = counted(bytes);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}
}  // namespace

void* operator new(std::size_t bytes) { return counted_or_throw(bytes); }
void* operator new[](std::size_t bytes) { return counted_or_throw(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return counted(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return counted(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using halnorm::DType;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;

struct Case {
  const char* name;
  halnorm::Shape shape;
  DType dtype = DType::Float32;
};

void PrintTo(const Case& one, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << one.name;
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"small", {20, 100}},
      {"rows", {4096, 256}},
      {"planes", {32, 64, 128}},
      {"few_channels_in_boxes", {2, 3, 40000}},
      {"few_channels_as_columns", {5000, 3}},
      {"short_rows", {64, 32, 7}},
      {"short_rows_in_groups", {64, 512, 7}},
      {"half", {64, 100}, DType::Float16},
      {"double", {64, 100}, DType::Float64},
  };
  return all;
}

class SteadyMemory : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    halnorm::set_num_threads(1);  // what a thread keeps is its own
    if (GetParam().dtype == DType::Float64) {
      layer.to(DType::Float64);  // others are converted in each call
    }
  }
  void TearDown() override { halnorm::set_num_threads(0); }

  Tensor x = Tensor::randn(GetParam().shape, 1, GetParam().dtype);
  Tensor out = Tensor::empty(GetParam().shape, GetParam().dtype);
  BatchNorm1d layer{GetParam().shape[1]};

  /// The allocations of ten calls, after as many calls as a layer keeps records.
  static int steady(const std::function<void()>& call) {
    for (std::size_t i = 0; i <= BatchNorm1d::max_saved_forwards; ++i) {
      call();
    }
    const int before = allocations.load();
    for (int i = 0; i < 10; ++i) {
      call();
    }
    return allocations.load() - before;
  }
};

TEST_P(SteadyMemory, TrainingTakesNone) {
  EXPECT_EQ(steady([&] { layer(x, out); }), 0);
}

TEST_P(SteadyMemory, TrainingWithoutGradientsTakesNone) {
  const halnorm::NoGradGuard guard;
  EXPECT_EQ(steady([&] { layer(x, out); }), 0);
}

TEST_P(SteadyMemory, InferenceTakesNone) {
  const halnorm::NoGradGuard guard;
  layer.eval();
  EXPECT_EQ(steady([&] { layer(x, out); }), 0);
}

TEST_P(SteadyMemory, WithoutOutItIsTheOutput) {
  // This checks the counter: the caller's list of extents is copied.
  const halnorm::NoGradGuard guard;
  const int for_one = steady([&] { Tensor::empty(GetParam().shape, GetParam().dtype); });
  EXPECT_GT(for_one, 0);
  EXPECT_LE(steady([&] { layer(x); }), for_one);
}

TEST_P(SteadyMemory, ASmallOutputTakesNone) {
  const halnorm::NoGradGuard guard;
  layer.eval();
  const auto bytes = x.numel() * static_cast<std::int64_t>(halnorm::size_of(x.dtype()));
  const int calls = 10;
  const int for_one = bytes < (1 << 17) ? 0 : 1;  // a large block has a count of its own
  EXPECT_EQ(steady([&] { layer(x); }), calls * for_one);
}

TEST(SteadyMemoryOfThreads, GoesWithThem) {
  BatchNorm1d layer(100);
  const Tensor x = Tensor::randn({20, 100}, 1);
  const Tensor out = Tensor::empty({20, 100});
  const halnorm::NoGradGuard guard;
  layer(x, out);
  std::thread([&] {
    const halnorm::NoGradGuard also_here;
    layer(x, out);
  }).join();  // the leak sanitizer tells if anything stays
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 2);
}

INSTANTIATE_TEST_SUITE_P(Shapes, SteadyMemory, ::testing::ValuesIn(cases()),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
