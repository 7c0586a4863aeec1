#include "stream.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "halnorm/error.h"
#include "halnorm/kernels.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace halnorm {

namespace detail {

namespace {

// A tile and the piece of input that it is made of stay in L2. 16 KB to 256 KB make no difference
// that shows; smaller ones pay for more calls.
constexpr std::int64_t tile_bytes = 1 << 17;

// Tiles that one thread makes one after another: only the first is not fetched ahead.
constexpr std::int64_t tiles_per_task = 16;

/// Never, unless the caller asks: a tile's input is read and the tile stored by turns, and on one
/// thread that costs more than it saves (docs/performance.md).
constexpr std::int64_t never = std::int64_t{1} << 62;

std::atomic<std::int64_t> threshold{never};

/// One for each thread that ever streamed, kept until it ends.
class TileMemory {
 public:
  std::byte* at_least(std::size_t bytes) {
    if (bytes > size_) {
      memory_.reset(static_cast<std::byte*>(::operator new(bytes, alignment)));
      size_ = bytes;
    }
    return memory_.get();
  }

 private:
  static constexpr std::align_val_t alignment{64};
  struct Delete {
    void operator()(std::byte* p) const noexcept { ::operator delete(p, alignment); }
  };
  std::unique_ptr<std::byte, Delete> memory_;
  std::size_t size_ = 0;
};

constexpr std::size_t line = 64;

/// Addresses that are read soon, at most one for each input.
struct Ahead {
  std::array<const std::byte*, 2> from{};

  /// A line of each. An address is never read, so that any will do.
  void fetch(std::size_t offset) const noexcept {
    for (const std::byte* p : from) {
      if (p != nullptr) {
        __builtin_prefetch(p + offset, 0, 2);
      }
    }
  }
};

/// memcpy with stores that go past the caches.
void stream_bytes(std::byte* to, const std::byte* from, std::size_t bytes,
                  const Ahead& ahead) noexcept {
#if defined(__SSE2__)
  void* aligned = to;
  std::size_t left = bytes;
  if (std::align(line, line, aligned, left) != nullptr) {
    const std::size_t head = bytes - left;
    std::memcpy(to, from, head);
    std::size_t i = head;
    for (; i + line <= bytes; i += line) {
      const auto* in = reinterpret_cast<const __m128i*>(from + i);
      auto* out = reinterpret_cast<__m128i*>(to + i);
      const __m128i a = _mm_loadu_si128(in);
      const __m128i b = _mm_loadu_si128(in + 1);
      const __m128i c = _mm_loadu_si128(in + 2);
      const __m128i d = _mm_loadu_si128(in + 3);
      ahead.fetch(i);
      _mm_stream_si128(out, a);
      _mm_stream_si128(out + 1, b);
      _mm_stream_si128(out + 2, c);
      _mm_stream_si128(out + 3, d);
    }
    to += i;
    from += i;
    bytes -= i;
  }
#else
  static_cast<void>(ahead);
#endif
  std::memcpy(to, from, bytes);
}

/// A dense tile into its place, run by run of what is dense there. `next` are the parts of the
/// inputs that the next tile is made of.
void stream_tile(const View& tile, const View& place, const std::array<View, 2>& next,
                 std::size_t inputs) noexcept {
  const auto size = static_cast<std::int64_t>(size_of(tile.dtype));
  const std::int64_t rows = place.is_dense() ? 1 : place.N;
  const std::int64_t runs = place.planes_are_dense() ? 1 : place.C;
  const std::int64_t run = tile.numel() / rows / runs;
  const std::byte* from = tile.data;
  for (std::int64_t n = 0; n < rows; ++n) {
    for (std::int64_t c = 0; c < runs; ++c) {
      const auto start = [&](const View& v) {
        return v.data + (n * v.stride_n + c * v.stride_c) * size;
      };
      Ahead ahead;
      for (std::size_t k = 0; k < inputs; ++k) {
        ahead.from[k] = start(next[k]);
      }
      stream_bytes(start(place), from, static_cast<std::size_t>(run * size), ahead);
      from += run * size;
    }
  }
#if defined(__SSE2__)
  _mm_sfence();  // before another thread is told that the output is there
#endif
}

/// Tile by tile, what one task does.
void stream_tiles(const View& out, std::initializer_list<const View*> inputs, const Boxes& boxes,
                  std::int64_t first, std::int64_t last,
                  const std::function<void(const Box&, const View& tile)>& write) {
  static thread_local TileMemory memory;
  std::array<View, 2> next{};
  for (std::int64_t i = first; i < last; ++i) {
    const View place = out.part(boxes[i]);
    View tile = place;
    tile.data = memory.at_least(static_cast<std::size_t>(place.bytes()));
    tile.stride_c = place.L;
    tile.stride_n = place.C * place.L;
    write(boxes[i], tile);
    std::size_t ahead = 0;
    for (const View* input : inputs) {
      if (i + 1 < last) {
        next[ahead++] = input->part(boxes[i + 1]);
      }
    }
    stream_tile(tile, place, next, ahead);
  }
}

}  // namespace

bool should_stream(std::initializer_list<const View*> views) noexcept {
  std::int64_t bytes = 0;
  for (const View* v : views) {
    bytes += v->memory == nullptr ? v->bytes() : 0;
  }
  return bytes > threshold.load(std::memory_order_relaxed);
}

void stream(const View& out, std::initializer_list<const View*> inputs,
            const std::function<void(const Box&, const View& tile)>& write) {
  const Boxes boxes(out, tile_bytes / static_cast<std::int64_t>(size_of(out.dtype)));
  const std::int64_t tasks = (boxes.size() + tiles_per_task - 1) / tiles_per_task;
  parallel_for(tasks, [&](std::int64_t task) {
    const std::int64_t first = task * tiles_per_task;
    stream_tiles(out, inputs, boxes, first, std::min(first + tiles_per_task, boxes.size()), write);
  });
}

}  // namespace detail

void set_streaming_threshold(std::int64_t bytes) {
  if (bytes < 0) {
    throw ValueError("set_streaming_threshold: got " + std::to_string(bytes) +
                     ", wanted at least 0 bytes");
  }
  detail::threshold.store(bytes == 0 ? detail::never : bytes, std::memory_order_relaxed);
}

}  // namespace halnorm
