#include "device/standin_cuda.h"

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace {

using Result = int;
using Pointer = std::uint64_t;
constexpr Result good = 0;
constexpr Result invalid_value = 1;
constexpr Result out_of_memory = 2;
constexpr Result no_binary_for_gpu = 209;

struct State {
  std::mutex mutex;
  std::vector<standin::Call> calls;
  std::map<Pointer, const void*> owners;  ///< of memory: the context it was allocated in
  std::map<const void*, int> devices;     ///< of contexts
  int allocations_to_refuse = 0;
  int probed_values = 2;  ///< that a probe has still to read
};

/// Neither the state nor the contexts are destroyed, because Halide frees its memory when a process
/// ends.
State& state() {
  static State& all = *new State;
  return all;
}

std::vector<void*>& contexts() {
  thread_local std::vector<void*>& all = *new std::vector<void*>;
  return all;
}

const void* current() { return contexts().empty() ? nullptr : contexts().back(); }

void note(const char* name, const void* stream = nullptr) {
  const std::scoped_lock lock(state().mutex);
  state().calls.push_back({name, current(), stream});
}

Result copy(const char* name, void* to, const void* from, std::size_t bytes, const void* stream) {
  note(name, stream);
  std::memcpy(to, from, bytes);
  return good;
}

void* at(Pointer address) { return std::bit_cast<void*>(address); }

/// Writes the mean and the variance that the kernel of a probe computes, with equal values. On
/// device 2 it writes nothing.
void answer_probe(Pointer address, std::size_t bytes) {
  const std::scoped_lock lock(state().mutex);
  if (state().devices[current()] == 2 || state().probed_values == 0) {
    return;
  }
  --state().probed_values;
  constexpr double wanted = 3.5;
  for (std::size_t i = 0; i + sizeof(wanted) <= bytes; i += sizeof(wanted)) {
    std::memcpy(at(address + i), &wanted, sizeof(wanted));
  }
}

/// A value at the begin of each of `count` rows, which are `pitch` bytes apart.
template <class Value>
Result fill(Pointer to, std::size_t pitch, Value value, std::size_t count, const void* stream) {
  note("cuMemset", stream);
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(at(to + i * pitch), &value, sizeof(value));
  }
  return good;
}

}  // namespace

namespace standin {

std::vector<Call> take_calls() {
  const std::scoped_lock lock(state().mutex);
  return std::exchange(state().calls, {});
}

void refuse_allocations(int count) { state().allocations_to_refuse = count; }

void* new_context() { return std::malloc(1); }

void* new_stream() { return std::malloc(1); }

}  // namespace standin

// The functions have the driver's names and arguments; unused arguments have no name.
// NOLINTBEGIN(readability-identifier-naming)
extern "C" {

Result cuInit(unsigned) { return good; }
Result cuDeviceGetCount(int* count) {
  *count = 3;
  return good;
}
Result cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return good;
}
Result cuDeviceGetAttribute(int* value, int, int) {
  *value = 1;
  return good;
}
Result cuDeviceGetName(char* name, int, int) {
  *name = '\0';
  return good;
}
Result cuDeviceTotalMem_v2(std::size_t* bytes, int) {
  *bytes = 0;
  return good;
}
Result cuCtxCreate_v2(void** context, unsigned, int device) {
  *context = standin::new_context();
  contexts().push_back(*context);
  state().devices[*context] = device;
  return good;
}
Result cuCtxDestroy_v2(void*) { return good; }
Result cuProfilerStop() { return good; }
Result cuCtxGetApiVersion(void*, unsigned* version) {
  *version = 12000;
  return good;
}
Result cuCtxGetDevice(int* device) {
  *device = 0;
  return good;
}
Result cuCtxPushCurrent_v2(void* context) {
  contexts().push_back(context);
  return good;
}
Result cuCtxPopCurrent_v2(void** context) {
  *context = contexts().back();
  contexts().pop_back();
  return good;
}
Result cuCtxSynchronize() {
  note("cuCtxSynchronize");
  return good;
}
Result cuStreamSynchronize(void* stream) {
  note("cuStreamSynchronize", stream);
  return good;
}

Result cuModuleLoadData(void** module, const void*) {
  *module = standin::new_context();
  return state().devices[current()] == 1 ? no_binary_for_gpu : good;
}
Result cuModuleLoadDataEx(void** module, const void* image, unsigned, void*, void*) {
  return cuModuleLoadData(module, image);
}
Result cuModuleUnload(void*) {
  note("cuModuleUnload");
  return good;
}
Result cuModuleGetFunction(void** function, void* module, const char*) {
  *function = module;
  return good;
}
Result cuLaunchKernel(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                      void* stream, void**, void**) {
  note("cuLaunchKernel", stream);
  return good;
}

Result cuMemAlloc_v2(Pointer* address, std::size_t bytes) {
  note("cuMemAlloc");
  if (state().allocations_to_refuse > 0) {
    --state().allocations_to_refuse;
    return out_of_memory;
  }
  constexpr std::size_t line = 256;
  void* memory = std::aligned_alloc(line, (bytes + line - 1) / line * line);
  *address = reinterpret_cast<Pointer>(memory);
  const std::scoped_lock lock(state().mutex);
  state().owners[*address] = current();
  return good;
}
Result cuMemFree_v2(Pointer address) {
  note("cuMemFree");
  const std::scoped_lock lock(state().mutex);
  const auto owner = state().owners.find(address);
  if (owner == state().owners.end() || owner->second != current()) {
    return invalid_value;
  }
  state().owners.erase(owner);
  std::free(at(address));
  return good;
}
Result cuPointerGetAttribute(void*, int, Pointer) { return good; }

Result cuMemcpyHtoD_v2(Pointer to, const void* from, std::size_t bytes) {
  return copy("cuMemcpyHtoD", at(to), from, bytes, nullptr);
}
Result cuMemcpyDtoH_v2(void* to, Pointer from, std::size_t bytes) {
  answer_probe(from, bytes);
  return copy("cuMemcpyDtoH", to, at(from), bytes, nullptr);
}
Result cuMemcpyDtoD_v2(Pointer to, Pointer from, std::size_t bytes) {
  return copy("cuMemcpyDtoD", at(to), at(from), bytes, nullptr);
}
Result cuMemcpyHtoDAsync_v2(Pointer to, const void* from, std::size_t bytes, void* stream) {
  return copy("cuMemcpyHtoDAsync", at(to), from, bytes, stream);
}
Result cuMemcpyDtoHAsync_v2(void* to, Pointer from, std::size_t bytes, void* stream) {
  answer_probe(from, bytes);
  return copy("cuMemcpyDtoHAsync", to, at(from), bytes, stream);
}
Result cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, std::size_t bytes, void* stream) {
  return copy("cuMemcpyDtoDAsync", at(to), at(from), bytes, stream);
}
Result cuMemcpyAsync(Pointer to, Pointer from, std::size_t bytes, void* stream) {
  return copy("cuMemcpyAsync", at(to), at(from), bytes, stream);
}
Result cuMemsetD16Async(Pointer to, std::uint16_t value, std::size_t count, void* stream) {
  return fill(to, sizeof(value), value, count, stream);
}
Result cuMemsetD32Async(Pointer to, std::uint32_t value, std::size_t count, void* stream) {
  return fill(to, sizeof(value), value, count, stream);
}
Result cuMemsetD2D32Async(Pointer to, std::size_t pitch, std::uint32_t value, std::size_t width,
                          std::size_t height, void* stream) {
  return width == 1 ? fill(to, pitch, value, height, stream) : invalid_value;
}
Result cuMemcpy3D_v2(const void*) { return invalid_value; }

}  // extern "C"
// NOLINTEND(readability-identifier-naming)
