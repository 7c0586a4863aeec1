#include "halnorm/device.h"

#include "c_api/status.h"
#include "c_api/tensors.h"
#include "halnorm/cuda.h"
#include "halnorm/error.h"

using halnorm::c_api::Call;
using halnorm::c_api::device_of;
using halnorm::c_api::guarded;

struct halnorm_cuda_guard {  // NOLINT(readability-identifier-naming): C's name
  halnorm::cuda::StreamGuard guard;
};

int halnorm_is_available(DLDeviceType type) {
  try {
    const Call call{.function = __func__, .argument = "type"};
    return halnorm::is_available(device_of(call, {.device_type = type, .device_id = 0}).type) ? 1
                                                                                              : 0;
  } catch (...) {  // a device that there is none of is no failed call
    return 0;
  }
}

halnorm_status halnorm_synchronize(DLDevice device) {
  const Call call{.function = __func__, .argument = "device"};
  return guarded(call, [&] { halnorm::synchronize(device_of(call, device)); });
}

halnorm_status halnorm_cuda_enter(void* context, void* stream, halnorm_cuda_guard** guard) {
  return guarded({.function = __func__}, [&] {
    if (guard == nullptr) {
      throw halnorm::ValueError("halnorm_cuda_enter: guard is NULL, wanted a place for the guard");
    }
    *guard = new halnorm_cuda_guard{{context, stream}};
  });
}

void halnorm_cuda_leave(halnorm_cuda_guard* guard) { delete guard; }

halnorm_status halnorm_cuda_release(void* context) {
  return guarded({.function = __func__}, [&] { halnorm::cuda::release(context); });
}
