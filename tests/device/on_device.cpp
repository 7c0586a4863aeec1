#include "device/on_device.h"

#include <algorithm>
#include <cstdlib>

namespace on_device {

using halnorm::Device;
using halnorm::DType;
using halnorm::Tensor;
using placement::Layout;

namespace {

std::string name_of(const Case& c) {
  std::string device = c.device.str();
  std::replace(device.begin(), device.end(), ':', '_');
  return device + "_" + std::string(halnorm::name_of(c.dtype)) + "_" + placement::name_of(c.layout);
}

std::vector<shapes::Extents> few_shapes(const Case& c, Forms forms) {
  const bool two = forms == Forms::two;
  std::vector<shapes::Extents> few = {
      {5, 3, 2, "an odd number of channels, fewer than a block has"},
      {2, 32, 16, "whole vectors in every direction"},
  };
  if (c.layout == Layout::Ncl) {
    few.push_back({1, 1, two ? 32776 : 4104, "aligned rows, in blocks"});
    few.push_back({two ? 331 : 42, 2, 99, "rows that are not, shorter than a block has threads"});
  } else {
    const auto bytes = static_cast<std::int64_t>(halnorm::size_of(c.dtype));
    const std::int64_t rows = two ? 384 * bytes + 5 : 605;  // one launch takes 384 * bytes
    few.push_back({40, 35, 1, "blocks of channels, the last one of less than a vector"});
    few.push_back({rows, 32 / bytes, 1, "vectors of channels"});
    few.push_back({rows, 5, 1, "fewer channels than a vector"});
  }
  return few;
}

bool few_are_enough() { return std::getenv("HALNORM_FEW_SHAPES") != nullptr; }

}  // namespace

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << name_of(c); }

std::string name_of_param(const ::testing::TestParamInfo<Case>& info) {
  return name_of(info.param);
}

std::vector<Device> linked() {
  std::vector<Device> result;
  const auto all = halnorm::kernels();
  for (const Device device : {Device::cuda(), Device::opencl()}) {
    const std::string target = device.type == halnorm::DeviceType::CUDA ? "cuda" : "opencl";
    if (std::any_of(all.begin(), all.end(), [&](const auto& k) { return k.target == target; })) {
      result.push_back(device);
    }
  }
  return result;
}

std::vector<Case> cases() {
  std::vector<Case> result;
  for (const Device device : linked()) {
    for (const DType dtype : {DType::Float32, DType::Float64, DType::Float16, DType::BFloat16}) {
      for (const Layout layout : {Layout::Ncl, Layout::Nlc, Layout::Nc}) {
        result.push_back({device, dtype, layout});
      }
    }
  }
  return result;
}

std::vector<Case> one_case_each() {
  std::vector<Case> result;
  for (const Device device : linked()) {
    result.push_back({device});
  }
  return result;
}

std::vector<shapes::Extents> all_shapes() {
  std::vector<shapes::Extents> all = shapes::trainable();
  const std::vector<shapes::Extents> more = {
      {20000, 32, 1, "many rows of few channels"},
      {1, 1, 100000, "one channel, split along L"},
      {40, 3, 1000, "few channels, split along N"},
      {3, 40, 129, "one more than a tile along L"},
      {256, 2, 128, "the most values that one launch takes"},
      {1, 2, 32768, "the same in one row"},
      {1536, 5, 1, "the most rows of one value that it takes, of float32"},
      {8193, 37, 1, "more than it takes of any dtype, and more channels than a warp"},
      {1100, 3, 33, "more than it takes, in short rows"},
      {230, 2, 157, "the same in rows that are no longer than a block has threads"},
  };
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

void Test::SetUp() {
  if (!halnorm::is_available(device().type)) {
    try {
      Tensor::empty({1}, DType::Float32, device());
    } catch (const halnorm::DeviceError& error) {
      GTEST_SKIP() << error.what();
    }
  }
}

std::vector<shapes::Extents> Test::unless_few(const std::vector<shapes::Extents>& all,
                                              Forms forms) const {
  return few_are_enough() ? few_shapes(GetParam(), forms) : all;
}

std::vector<double> Test::means() {
  return few_are_enough() ? std::vector{1e4} : std::vector{0.0, 1e4, 1e6};
}

Problem Test::problem(const shapes::Extents& extents, double mean) const {
  const auto seed = static_cast<std::uint64_t>(extents.n * 1000003 + extents.c * 1009 + extents.l);
  return {inputs::Source(seed, dtype()), GetParam().layout, extents, dtype(), mean};
}

Tensor Test::there(const Tensor& host) const {
  if (GetParam().layout != Layout::Nlc || host.dim() != 3) {
    return host.to(device());
  }
  return host.transpose(1, 2).contiguous().to(device()).transpose(1, 2);
}

void Test::expect_ran_there() const {
  const std::string kernel = halnorm::last_kernel();
  const std::string target = device().type == halnorm::DeviceType::CUDA ? "__cuda" : "__opencl";
  EXPECT_TRUE(kernel.ends_with(target)) << "ran " << kernel;
}

}  // namespace on_device
