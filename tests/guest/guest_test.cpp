#include <HalideBuffer.h>
#include <HalideRuntime.h>
#include <gtest/gtest.h>
#include <halnorm/halide.h>
#include <halnorm/halnorm.h>

#include <atomic>
#include <string>
#include <vector>

#include "halnorm_test_host.h"

/// @file
/// A host that has its own Halide pipelines, runtime and handlers, and halnorm beside them. Each
/// test is a separate process.

namespace {

using halnorm::Tensor;

/// How often the host's handlers were called.
struct Calls {
  std::atomic<int> errors{0}, loops{0}, allocations{0}, frees{0}, traces{0};

  [[nodiscard]] int sum() const { return errors + loops + allocations + frees + traces; }
};
Calls calls;

void on_error(void* /*context*/, const char* /*message*/) { ++calls.errors; }
int on_loop(void* context, halide_task_t task, int first, int count, std::uint8_t* closure) {
  ++calls.loops;
  return halide_default_do_par_for(context, task, first, count, closure);
}
void* on_allocation(void* context, std::size_t bytes) {
  ++calls.allocations;
  return halide_default_malloc(context, bytes);
}
void on_free(void* context, void* memory) {
  ++calls.frees;
  halide_default_free(context, memory);
}
std::int32_t on_trace(void* /*context*/, const halide_trace_event_t* /*event*/) {
  return ++calls.traces;
}

constexpr int threads = 3;

/// The handlers of the host's Halide runtime.
struct Handlers {
  halide_error_handler_t error;
  halide_do_par_for_t loop;
  halide_malloc_t allocate;
  halide_free_t release;
  halide_trace_t trace;
  int pool;
};

Handlers exchange(const Handlers& next) {
  return {halide_set_error_handler(next.error),    halide_set_custom_do_par_for(next.loop),
          halide_set_custom_malloc(next.allocate), halide_set_custom_free(next.release),
          halide_set_custom_trace(next.trace),     halide_set_num_threads(next.pool)};
}

Handlers install() {
  return exchange({on_error, on_loop, on_allocation, on_free, on_trace, threads});
}

/// The host's pipeline, on a tensor's elements.
void expect_pipeline_runs() {
  const Tensor x = Tensor::full({70, 30}, 3);
  const Tensor y = Tensor::zeros({70, 30});
  Halide::Runtime::Buffer<float> x_buffer = halnorm::halide_buffer(x);
  Halide::Runtime::Buffer<float> y_buffer = halnorm::halide_buffer(y);
  ASSERT_EQ(halnorm_test_host(x_buffer, y_buffer), 0);
  EXPECT_EQ(y.to_vector<double>(), std::vector<double>(2100, 7));
}

/// An error of the host's pipeline: a buffer that is too small.
void expect_pipeline_fails() {
  Halide::Runtime::Buffer<float> x(3, 3);
  Halide::Runtime::Buffer<float> y(7, 7);
  EXPECT_NE(halnorm_test_host(x, y), 0);
}

void expect_handlers_are_called() {
  const int before = calls.errors;
  expect_pipeline_runs();
  expect_pipeline_fails();
  EXPECT_GT(calls.errors, before);
  EXPECT_GT(calls.loops, 0);
  EXPECT_GT(calls.allocations, 0);
  EXPECT_EQ(calls.frees, calls.allocations);
  EXPECT_GT(calls.traces, 0);
}

/// Calls of halnorm's that start its pool, take memory for kernels, and fail.
void use_halnorm() {
  halnorm::set_num_threads(2);
  for (const halnorm::Shape& shape : {halnorm::Shape{20, 100}, halnorm::Shape{64, 32, 128}}) {
    halnorm::nn::BatchNorm1d layer(shape[1]);
    const Tensor x = Tensor::randn(shape, 1);
    const Tensor y = layer(x);
    EXPECT_NEAR(y.to_vector<double>()[0], (x.to_vector<double>()[0]), 1);
    EXPECT_EQ(layer.backward(x).shape(), shape);
  }
  halnorm::nn::BatchNorm1d layer(2);
  EXPECT_THROW(layer(Tensor::ones({2, 3})), halnorm::ShapeError);
}

void expect_own(const Handlers& now) {
  EXPECT_EQ(now.error, &on_error);
  EXPECT_EQ(now.loop, &on_loop);
  EXPECT_EQ(now.allocate, &on_allocation);
  EXPECT_EQ(now.release, &on_free);
  EXPECT_EQ(now.trace, &on_trace);
  EXPECT_EQ(now.pool, threads);
}

TEST(Guest, HandlersThatAreSetBeforeTheFirstCallStay) {
  const Handlers defaults = install();
  use_halnorm();
  EXPECT_EQ(calls.sum(), 0) << "halnorm called a handler of the host's";
  expect_handlers_are_called();
  expect_own(exchange(defaults));
}

TEST(Guest, HandlersThatAreSetAfterTheFirstCallStay) {
  use_halnorm();
  const Handlers found = install();
  EXPECT_EQ(found.error, &halide_default_error) << "halnorm set the host's error handler";
  EXPECT_EQ(found.loop, &halide_default_do_par_for);
  EXPECT_EQ(found.allocate, &halide_default_malloc);
  EXPECT_EQ(found.release, &halide_default_free);
  EXPECT_EQ(found.trace, &halide_default_trace);
  expect_handlers_are_called();
  const int before = calls.sum();
  use_halnorm();
  EXPECT_EQ(calls.sum(), before) << "halnorm called a handler of the host's";
  expect_own(exchange(found));
}

/// The host's pool ends and halnorm's continues, and the other way round.
TEST(Guest, PoolsEndOnTheirOwn) {
  install();
  use_halnorm();
  expect_pipeline_runs();
  halide_shutdown_thread_pool();
  use_halnorm();
  expect_pipeline_runs();
  halnorm::set_num_threads(1);
  use_halnorm();
  expect_pipeline_runs();
}

/// A parallel-for that the host gives to halnorm is not asked by the host's pipeline.
TEST(Guest, ParallelForsAreNotMixedUp) {
  install();
  std::atomic<int> loops{0};
  halnorm::set_parallel_for([&](const halnorm::ParallelLoop& loop) {
    ++loops;
    for (int i = 0; i < loop.count(); ++i) {
      loop.run(i);
    }
  });
  use_halnorm();
  EXPECT_GT(loops, 0);
  EXPECT_EQ(calls.loops, 0);
  const int before = loops;
  expect_pipeline_runs();
  EXPECT_EQ(loops, before);
  EXPECT_GT(calls.loops, 0);
  halnorm::set_parallel_for({});
}

TEST(Guest, ATensorIsHandedToThePipelineWithItsStrides) {
  const Tensor x = Tensor::randn({30, 70}, 1).transpose(0, 1).narrow(0, 5, 60);
  const Tensor y = Tensor::zeros({60, 30});
  Halide::Runtime::Buffer<> x_buffer = halnorm::halide_buffer(x);
  EXPECT_EQ(x_buffer.dim(0).stride(), 70);
  EXPECT_EQ(x_buffer.data(), x.raw_data());
  Halide::Runtime::Buffer<float> y_buffer = halnorm::halide_buffer(y);
  ASSERT_EQ(halnorm_test_host(x_buffer, y_buffer), 0);
  const auto values = x.to_vector<float>();
  const auto results = y.to_vector<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(results[i], 2 * values[i] + 1);
  }
}

}  // namespace
