#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace halnorm::bench {

/// One shape of the suite. (N, C) has length 1 and `rank` 2; it is measured as channels-last only.
struct BenchShape {
  std::int64_t n, c, l;
  int rank;
  bool quick;  ///< part of the short run
  std::string_view reason;

  [[nodiscard]] constexpr std::int64_t numel() const { return n * c * l; }
  [[nodiscard]] constexpr std::int64_t per_channel() const { return n * l; }

  /// "128x1024" or "8x512x64".
  [[nodiscard]] std::string name() const {
    const std::string base = std::to_string(n) + "x" + std::to_string(c);
    return rank == 2 ? base : base + "x" + std::to_string(l);
  }
};

constexpr BenchShape nc(std::int64_t n, std::int64_t c, bool quick, std::string_view reason) {
  return {n, c, 1, 2, quick, reason};
}

constexpr BenchShape ncl(std::int64_t n, std::int64_t c, std::int64_t l, bool quick,
                         std::string_view reason) {
  return {n, c, l, 3, quick, reason};
}

/// The suite, small to large within each kind. At most 815 MB of buffers for the largest.
inline constexpr std::array shapes{
    nc(20, 100, true, "the reference manual's example: call overhead"),
    nc(19, 97, false, "the same with odd extents: no whole vector anywhere"),
    nc(128, 1024, true, "hidden layer of a tabular network, 0.5 MB"),
    nc(127, 1023, false, "the same with odd extents"),
    nc(8192, 64, false, "tabular, large batch, few channels, 2 MB"),
    nc(8191, 65, false, "the same with odd extents"),
    nc(10000, 64, false, "reported slow by users of an inference engine, 2.6 MB"),
    nc(4096, 256, true, "tabular, large batch, 4 MB"),
    nc(4095, 255, false, "the same with odd extents"),
    nc(100000, 32, true, "reported slow by users: very long batch, few channels, 12.8 MB"),
    nc(100003, 31, false, "the same with odd extents"),
    nc(160000, 256, false, "reported slow by users: far beyond cache, 164 MB"),
    nc(1000003, 1, false, "one channel: all parallelism must come from rows"),
    ncl(8, 512, 64, true, "speech, last stage: many channels, short rows, 1 MB"),
    ncl(7, 511, 63, false, "the same with odd extents"),
    ncl(64, 512, 7, true, "last stage of a deep network: rows shorter than a vector, 0.9 MB"),
    ncl(64, 512, 49, false, "late stage: rows of a few vectors and a tail, 6.4 MB"),
    ncl(64, 256, 157, false, "biosignals after pooling: odd rows, 10 MB"),
    ncl(63, 255, 157, false, "the same with odd extents"),
    ncl(16, 128, 784, true, "image-like rows (28 x 28), 6.4 MB"),
    ncl(16, 256, 400, false, "speech, middle stage, 6.6 MB"),
    ncl(15, 127, 783, false, "image-like rows with odd extents"),
    ncl(32, 64, 1024, true, "point cloud, first stage, 8.4 MB"),
    ncl(31, 63, 1023, false, "the same with odd extents"),
    ncl(64, 3, 4096, true, "three channels of raw signal: fewer channels than blocks, 3.1 MB"),
    ncl(63, 3, 4095, false, "the same with odd extents"),
    ncl(16, 1, 65536, false, "one channel with long rows, 4.2 MB"),
    ncl(15, 1, 65535, false, "the same with odd extents"),
    ncl(31, 511, 299, false, "speech features with odd extents, 19 MB"),
    ncl(32, 512, 300, true, "speech features, about the last-level cache, 20 MB"),
    ncl(64, 64, 1250, false, "biosignals at full rate, 20 MB"),
    ncl(63, 65, 1249, false, "the same with odd extents"),
    ncl(64, 256, 512, true, "image-like, just beyond the last-level cache, 34 MB"),
    ncl(63, 255, 511, false, "the same with odd extents, 33 MB"),
    ncl(32, 128, 4096, false, "point cloud, middle stage, 67 MB"),
    ncl(32, 1024, 1024, false, "point cloud, widest stage, 134 MB"),
    ncl(64, 256, 3136, false, "image-like (56 x 56), 206 MB"),
    ncl(255, 65, 4095, false, "large with odd extents, 271 MB"),
    ncl(256, 64, 4096, false, "large: far beyond every cache, 268 MB"),
};

}  // namespace halnorm::bench
