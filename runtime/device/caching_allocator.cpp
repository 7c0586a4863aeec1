#include "device/caching_allocator.h"

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>
#include <vector>

#include "base/driver_call.h"
#include "device/interface.h"
#include "halnorm/memory.h"
#include "kernels/call.h"
#include "kernels/memory/block_cache.h"
#include "kernels/memory/workspace.h"

namespace halnorm::HALNORM_ABI {

namespace detail {

namespace {

/// The cached blocks of one key.
struct Bin {
  std::vector<DeviceBlock> blocks;
  std::uint64_t used = 0;  ///< the number of the call that used the bin last
};

struct DeviceCache {
  using Key = std::tuple<DeviceType, const void*, const void*, std::int64_t>;

  std::mutex mutex;
  std::map<Key, Bin> bins;
  std::map<const void*, int> releases;  ///< calls of cuda::release() for each context
  std::int64_t kept = 0;                ///< cached bytes
  std::int64_t in_use = 0;              ///< allocated bytes that are not cached
  std::int64_t most_in_use = 0;
  std::uint64_t calls = 0;

  static Key key_of(const DeviceBlock& p) {
    return {p.type, p.made_under.context, p.made_under.stream, p.bytes};
  }

  /// The handle of the block that was cached last; 0 if the bin is empty.
  std::uint64_t take(const Key& key) {
    const auto at = bins.find(key);
    if (at == bins.end() || at->second.blocks.empty()) {
      return 0;
    }
    Bin& bin = at->second;
    bin.used = ++calls;
    const std::uint64_t handle = bin.blocks.back().handle;
    bin.blocks.pop_back();
    kept -= std::get<3>(key);
    if (bin.blocks.empty()) {
      bins.erase(at);
    }
    return handle;
  }

  void put(const DeviceBlock& p) {
    Bin& bin = bins[key_of(p)];
    bin.used = ++calls;
    bin.blocks.push_back(p);
    kept += p.bytes;
  }

  void count_use(std::int64_t bytes) {
    in_use += bytes;
    most_in_use = std::max(most_in_use, in_use);
  }

  /// The last use of the least recently used bin.
  std::uint64_t oldest() const {
    return std::min_element(
               bins.begin(), bins.end(),
               [](const auto& a, const auto& b) { return a.second.used < b.second.used; })
        ->second.used;
  }

  int releases_of(const DeviceBlock& p) const {
    const auto at = releases.find(p.made_under.context);
    return at == releases.end() ? 0 : at->second;
  }

  /// Removes the bins for which is_dropped(item) is true, and returns their blocks.
  template <class IsDropped>
  std::vector<DeviceBlock> clear(IsDropped is_dropped) {
    std::vector<DeviceBlock> all;
    std::erase_if(bins, [&](const auto& item) {
      if (is_dropped(item)) {
        all.insert(all.end(), item.second.blocks.begin(), item.second.blocks.end());
        return true;
      }
      return false;
    });
    for (const DeviceBlock& p : all) {
      kept -= p.bytes;
    }
    return all;
  }
};

/// The cache is never destroyed, because the driver may be unloaded before it.
DeviceCache& device_cache() {
  static DeviceCache& all = *new DeviceCache;
  return all;
}

/// A block as a buffer of Halide's functions.
class Described {
 public:
  explicit Described(const DeviceBlock& p)
      : axis_(0, static_cast<std::int32_t>((p.bytes + word - 1) / word), 1) {
    buffer_.type = halide_type_t(halide_type_uint, 8 * word);
    buffer_.dimensions = 1;
    buffer_.dim = &axis_;
    if (p.handle != 0) {
      buffer_.device = p.handle;
      buffer_.device_interface = interface_of(p.type);
    }
  }
  Described(const Described&) = delete;
  Described& operator=(const Described&) = delete;
  ~Described() = default;

  halide_buffer_t* get() noexcept { return &buffer_; }

 private:
  static constexpr int word = 8;
  halide_dimension_t axis_;
  halide_buffer_t buffer_{};
};

void free_block(const DeviceBlock& p) noexcept {
  const DriverCall call(std::nothrow);
  if (!call.has_begun()) {
    return;  // the driver frees the memory when the process ends
  }
  const Under there(p.made_under);
  if (p.type == DeviceType::CUDA) {
    free_in_context(p.handle);
    return;
  }
  Described described(p);
  if (halide_device_free(nullptr, described.get()) != 0) {
    forget_message();
  }
}

void free_blocks(const std::vector<DeviceBlock>& all) {
  std::for_each(all.begin(), all.end(), free_block);
}

int allocate(DeviceBlock& p) {
  Described described(p);
  const int code = halide_device_malloc(nullptr, described.get(), interface_of(p.type));
  p.handle = described.get()->device;
  return code;
}

/// Frees bin by bin: a list of all blocks would need memory.
void free_all_blocks() {
  for (;;) {
    std::vector<DeviceBlock> blocks;
    {
      const std::scoped_lock lock(device_cache().mutex);
      const auto bin = device_cache().bins.begin();
      if (bin == device_cache().bins.end()) {
        return;
      }
      blocks = std::move(bin->second.blocks);
      device_cache().kept -= std::get<3>(bin->first) * static_cast<std::int64_t>(blocks.size());
      device_cache().bins.erase(bin);
    }
    free_blocks(blocks);
  }
}

/// If the device has no memory left, the cached blocks are freed, and the allocation is repeated.
/// Halide frees its own cache itself.
int allocate_or_empty_cache(DeviceBlock& p) {
  if (allocate(p) == 0) {
    return 0;
  }
  free_all_blocks();
  forget_message();
  return allocate(p);
}

void keep(const DeviceBlock& p) {
  constexpr std::int64_t least = std::int64_t{1} << 26;
  std::vector<DeviceBlock> too_many;
  {
    const std::scoped_lock lock(device_cache().mutex);
    device_cache().count_use(-p.bytes);
    if (device_cache().releases_of(p) != p.releases) {
      return;
    }
    device_cache().put(p);
    // The limit holds all tensors of a training step, and drops the sizes of earlier steps.
    if (device_cache().kept > std::max(2 * device_cache().most_in_use, least)) {
      const std::uint64_t used = device_cache().oldest();
      too_many = device_cache().clear([&](const auto& item) { return item.second.used == used; });
    }
  }
  free_blocks(too_many);
}

}  // namespace

std::int64_t cached_size(std::int64_t bytes) noexcept {
  // Devices may refuse a block that is larger than a part of their memory, so that large sizes
  // are rounded little.
  constexpr std::uint64_t least = 512, large = std::uint64_t{1} << 30;
  const auto size = static_cast<std::uint64_t>(bytes);
  const std::uint64_t step = size < large ? std::bit_floor(std::max(size, least)) / 8 : 8;
  return static_cast<std::int64_t>((size + step - 1) / step * step);
}

int allocate_device_block(DeviceBlock& p) {
  {
    const std::scoped_lock lock(device_cache().mutex);
    p.releases = device_cache().releases_of(p);
    p.handle = device_cache().take(DeviceCache::key_of(p));
  }
  const int code = p.handle != 0 ? 0 : allocate_or_empty_cache(p);
  if (code == 0) {
    const std::scoped_lock lock(device_cache().mutex);
    device_cache().count_use(p.bytes);
  }
  return code;
}

void cache_device_block(const DeviceBlock& p) noexcept {
  try {
    keep(p);
  } catch (const std::bad_alloc&) {  // no host memory for the list of cached blocks
    free_block(p);
  }
}

void free_cached_blocks(const void* context) {
  std::vector<DeviceBlock> all;
  {
    const std::scoped_lock lock(device_cache().mutex);
    ++device_cache().releases[context];
    all =
        device_cache().clear([&](const auto& item) { return std::get<1>(item.first) == context; });
  }
  free_blocks(all);
}

}  // namespace detail

void empty_cache() noexcept {
  detail::free_kept_memory();
  detail::drop_blocks();
  try {
    detail::free_all_blocks();
    // The first use of the cache allocates it: without memory for that it is empty.
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch)
  }
}

}  // namespace halnorm::HALNORM_ABI
