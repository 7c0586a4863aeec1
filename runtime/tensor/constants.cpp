#include "tensor/constants.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>
#include <vector>

#include "device/cuda.h"
#include "tensor/impl.h"

namespace halnorm::HALNORM_ABI::detail {

namespace {

/// The constants that are kept on devices, and in which context of an engine's.
struct Kept {
  using Place = std::tuple<void*, DeviceType, int, DType>;

  std::mutex mutex;
  std::map<std::pair<Place, double>, Tensor> constants;
  std::map<Place, std::vector<Tensor>> zeros;  ///< the longest last
};

Kept& kept();

/// Gives back what is kept in a CUcontext.
void forget_constants(const void* context) {
  const std::scoped_lock lock(kept().mutex);
  std::erase_if(kept().constants,
                [&](const auto& item) { return std::get<0>(item.first.first) == context; });
  std::erase_if(kept().zeros, [&](const auto& item) { return std::get<0>(item.first) == context; });
}

/// Never destroyed: the driver may be gone by then.
Kept& kept() {
  static Kept& all = []() -> Kept& {
    at_release(&forget_constants);
    return *new Kept;
  }();
  return all;
}

Kept::Place place(Device device, DType dtype) {
  return {guarded().context, device.type, device.index, dtype};
}

/// Filled, for all streams of the context: others will not wait for this one.
Tensor filled(std::int64_t count, double value, DType dtype, Device device) {
  Tensor all = Tensor::full({count}, value, dtype, device);
  if (device.type == DeviceType::CUDA && guarded().context != nullptr) {
    wait_for_stream("a constant");
  }
  return all;
}

}  // namespace

Tensor constant(double value, std::int64_t channels, DType dtype, Device device) {
  const std::scoped_lock lock(kept().mutex);
  Tensor& one = kept().constants[{place(device, dtype), value}];
  if (!one.defined()) {
    one = filled(1, value, dtype, device);
  }
  return TensorAccess::repeated(one, channels);
}

Tensor zeros(std::int64_t count, const Tensor& x) {
  if (x.device() == Device::cpu()) {
    return Tensor::zeros({count}, x.dtype());
  }
  const std::scoped_lock lock(kept().mutex);
  std::vector<Tensor>& all = kept().zeros[place(x.device(), x.dtype())];
  const std::int64_t longest = all.empty() ? 0 : all.back().numel();
  if (longest < count) {
    constexpr std::int64_t most = std::int64_t{1} << 20;
    // The others stay: calls that read them may wait in a stream that the next owner of their
    // memory knows nothing of.
    all.push_back(filled(std::max(count, std::min(2 * longest, most)), 0, x.dtype(), x.device()));
  }
  return all.back().narrow(0, 0, count);
}

}  // namespace halnorm::HALNORM_ABI::detail
