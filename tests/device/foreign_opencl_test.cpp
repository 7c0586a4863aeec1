#include <HalideRuntime.h>

#include <bit>

#include "device/on_device.h"
#include "support/kernel_test.h"

extern "C" {
const halide_device_interface_t* halide_opencl_device_interface();
std::uintptr_t halide_opencl_get_cl_mem(void* context, halide_buffer_t* buffer);
}

namespace F = halnorm::functional;
using halnorm::Device;
using halnorm::DType;
using halnorm::Tensor;

// Memory that an engine allocated by itself.
TEST(ForeignOpenCl, MemoryIsUsedWithoutACopy) {
  const Device device = Device::opencl();
  if (!halnorm::is_available(device.type)) {
    GTEST_SKIP() << "no OpenCL device here";
  }
  halide_dimension_t axis(0, 60, 1);
  halide_buffer_t theirs{};
  theirs.type = halide_type_t(halide_type_float, 32);
  theirs.dimensions = 1;
  theirs.dim = &axis;
  ASSERT_EQ(halide_device_malloc(nullptr, &theirs, halide_opencl_device_interface()), 0);
  auto* handle = std::bit_cast<void*>(halide_opencl_get_cl_mem(nullptr, &theirs));
  {
    Tensor x = Tensor::from_blob(handle, {20, 3}, DType::Float32, {}, device);
    x.copy_(Tensor::randn({20, 3}, 5));
    F::batch_norm_train(x, {}, {}, 1e-5, x);
  }
  std::vector<float> read(60);
  theirs.host = reinterpret_cast<std::uint8_t*>(read.data());
  theirs.set_device_dirty();
  ASSERT_EQ(halide_copy_to_host(nullptr, &theirs), 0);
  const Tensor wanted = F::batch_norm_train(Tensor::randn({20, 3}, 5), {}, {}, 1e-5).y;
  expect_near({read.begin(), read.end()}, inputs::real(wanted.to_vector<double>()), 2e-6, "y");
  halide_device_free(nullptr, &theirs);
}
