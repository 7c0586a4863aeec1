// This program ends with work queued on a device, in the way that its argument names; see exits.py.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "halnorm/halnorm.h"

using halnorm::Device;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;

namespace {

constexpr int no_device = 77;

Device device() {
  return halnorm::is_available(halnorm::DeviceType::CUDA) ? Device::cuda() : Device::opencl();
}

/// Kernels that differ with the number of channels, which PoCL compiles in threads of its own.
void queue_work(std::int64_t channels) {
  BatchNorm1d layer(channels);
  layer.to(device());
  const Tensor x = Tensor::randn({8, channels, 100}, 1).to(device());
  layer.backward(layer(x));
}

[[noreturn]] void queue_for_ever() {
  for (std::int64_t i = 0;; ++i) {
    queue_work(30 + i % 5);
  }
}

/// Computes when it is destroyed.
struct Computes {
  bool does = false;
  Computes() = default;
  Computes(const Computes&) = delete;
  Computes& operator=(const Computes&) = delete;
  ~Computes() {
    if (!does) {
      return;
    }
    try {
      queue_work(7);
      std::puts("computed");
    } catch (const halnorm::DeviceError& error) {
      std::puts(error.what());
    }
  }
};

Computes made_before_the_driver;  // and so destroyed after it
Tensor kept;

void start(void (*run)()) { std::thread(run).detach(); }

int end(const std::string& way) {
  if (way == "probe") {
    return 0;
  }
  queue_work(37);
  kept = Tensor::ones({1 << 20}).to(device());
  if (way == "exit") {
    std::exit(0);
  }
  if (way == "quick_exit") {
    std::quick_exit(0);
  }
  if (way == "_Exit") {
    std::_Exit(0);
  }
  if (way == "thread_exits") {
    start([] { std::exit(0); });
    queue_for_ever();
  }
  if (way == "thread_computes") {
    start(&queue_for_ever);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  } else if (way == "destructor_after_driver") {
    made_before_the_driver.does = true;
  } else if (way == "destructor_before_driver") {
    static Computes made_after_the_driver;
    made_after_the_driver.does = true;
  } else if (way != "return") {
    return 1;
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (!halnorm::is_available(device().type)) {
    return no_device;
  }
  return count == 2 ? end(arguments[1]) : 1;
}
