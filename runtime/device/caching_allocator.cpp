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
#include "kernels/block_cache.h"
#include "kernels/call.h"
#include "kernels/workspace.h"

namespace halnorm {

namespace detail {

namespace {

/// The pieces of one size in one place.
struct Shelf {
  std::vector<Piece> pieces;
  std::uint64_t used = 0;  ///< when: the count of calls
};

struct Spare {
  using Place = std::tuple<DeviceType, const void*, const void*, std::int64_t>;

  std::mutex mutex;
  std::map<Place, Shelf> shelves;
  std::map<const void*, int> releases;  ///< of each context
  std::int64_t kept = 0;                ///< bytes on the shelves, in use, and in use at most
  std::int64_t in_use = 0;
  std::int64_t most_in_use = 0;
  std::uint64_t calls = 0;

  static Place place_of(const Piece& p) {
    return {p.type, p.made_under.context, p.made_under.stream, p.bytes};
  }

  /// The one that was put there last; 0 if there is none.
  std::uint64_t take(const Place& place) {
    const auto at = shelves.find(place);
    if (at == shelves.end() || at->second.pieces.empty()) {
      return 0;
    }
    Shelf& shelf = at->second;
    shelf.used = ++calls;
    const std::uint64_t handle = shelf.pieces.back().handle;
    shelf.pieces.pop_back();
    kept -= std::get<3>(place);
    if (shelf.pieces.empty()) {
      shelves.erase(at);
    }
    return handle;
  }

  void put(const Piece& p) {
    Shelf& shelf = shelves[place_of(p)];
    shelf.used = ++calls;
    shelf.pieces.push_back(p);
    kept += p.bytes;
  }

  void count_use(std::int64_t bytes) {
    in_use += bytes;
    most_in_use = std::max(most_in_use, in_use);
  }

  /// When the shelf that was longest without use was used.
  std::uint64_t oldest() const {
    return std::min_element(
               shelves.begin(), shelves.end(),
               [](const auto& a, const auto& b) { return a.second.used < b.second.used; })
        ->second.used;
  }

  int releases_of(const Piece& p) const {
    const auto at = releases.find(p.made_under.context);
    return at == releases.end() ? 0 : at->second;
  }

  /// Takes out the shelves that are meant.
  template <class Meant>
  std::vector<Piece> clear(Meant meant) {
    std::vector<Piece> all;
    std::erase_if(shelves, [&](const auto& item) {
      if (meant(item)) {
        all.insert(all.end(), item.second.pieces.begin(), item.second.pieces.end());
        return true;
      }
      return false;
    });
    for (const Piece& p : all) {
      kept -= p.bytes;
    }
    return all;
  }
};

/// Never destroyed: the driver may be gone by then.
Spare& spare() {
  static Spare& all = *new Spare;
  return all;
}

/// A piece as Halide's functions take it.
class Described {
 public:
  explicit Described(const Piece& p)
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

void free_piece(const Piece& p) noexcept {
  const DriverCall call(std::nothrow);
  if (!call.has_begun()) {
    return;  // it ends with the process
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

void free_pieces(const std::vector<Piece>& all) {
  std::for_each(all.begin(), all.end(), free_piece);
}

int allocate(Piece& p) {
  Described described(p);
  const int code = halide_device_malloc(nullptr, described.get(), interface_of(p.type));
  p.handle = described.get()->device;
  return code;
}

/// Shelf by shelf, which needs no memory.
void free_all_pieces() {
  for (;;) {
    std::vector<Piece> pieces;
    {
      const std::scoped_lock lock(spare().mutex);
      const auto shelf = spare().shelves.begin();
      if (shelf == spare().shelves.end()) {
        return;
      }
      pieces = std::move(shelf->second.pieces);
      spare().kept -= std::get<3>(shelf->first) * static_cast<std::int64_t>(pieces.size());
      spare().shelves.erase(shelf);
    }
    free_pieces(pieces);
  }
}

/// Where a device has no more, what is kept is given back. (What Halide keeps it gives back
/// itself.)
int allocate_at_any_price(Piece& p) {
  if (allocate(p) == 0) {
    return 0;
  }
  free_all_pieces();
  forget_message();
  return allocate(p);
}

void keep(const Piece& p) {
  constexpr std::int64_t least = std::int64_t{1} << 26;
  std::vector<Piece> too_many;
  {
    const std::scoped_lock lock(spare().mutex);
    spare().count_use(-p.bytes);
    if (spare().releases_of(p) != p.releases) {
      return;
    }
    spare().put(p);
    // A step's tensors of all sizes have their place then, and those of steps before do not.
    if (spare().kept > std::max(2 * spare().most_in_use, least)) {
      const std::uint64_t used = spare().oldest();
      too_many = spare().clear([&](const auto& item) { return item.second.used == used; });
    }
  }
  free_pieces(too_many);
}

}  // namespace

std::int64_t spare_size(std::int64_t bytes) noexcept {
  // Devices may refuse more than a part of their memory at a time.
  constexpr std::uint64_t least = 512, large = std::uint64_t{1} << 30;
  const auto size = static_cast<std::uint64_t>(bytes);
  const std::uint64_t step = size < large ? std::bit_floor(std::max(size, least)) / 8 : 8;
  return static_cast<std::int64_t>((size + step - 1) / step * step);
}

int take_piece(Piece& p) {
  {
    const std::scoped_lock lock(spare().mutex);
    p.releases = spare().releases_of(p);
    p.handle = spare().take(Spare::place_of(p));
  }
  const int code = p.handle != 0 ? 0 : allocate_at_any_price(p);
  if (code == 0) {
    const std::scoped_lock lock(spare().mutex);
    spare().count_use(p.bytes);
  }
  return code;
}

void keep_piece(const Piece& p) noexcept {
  try {
    keep(p);
  } catch (const std::bad_alloc&) {  // of the host's, for the list
    free_piece(p);
  }
}

void release_pieces(const void* context) {
  std::vector<Piece> all;
  {
    const std::scoped_lock lock(spare().mutex);
    ++spare().releases[context];
    all = spare().clear([&](const auto& item) { return std::get<1>(item.first) == context; });
  }
  free_pieces(all);
}

}  // namespace detail

void empty_cache() noexcept {
  detail::free_kept_memory();
  detail::drop_blocks();
  try {
    detail::free_all_pieces();
    // For the cache itself, which then was never used.
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch)
  }
}

}  // namespace halnorm
