#include "inputs.h"

#include <algorithm>
#include <limits>

namespace corpus {

namespace {

using halnorm::DType;
using halnorm::Shape;
using halnorm::Tensor;

/// SplitMix64 (Steele, Lea and Flood 2014).
class Source {
 public:
  explicit Source(std::uint64_t seed) : state_(seed) {}

  /// A multiple of 2^-20 in [low, high): exact in double on every machine.
  double uniform(double low, double high) {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    return low + (high - low) * static_cast<double>(z >> 44) / 1048576.0;
  }

  Tensor channels(std::int64_t count, double low, double high, DType dtype) {
    std::vector<double> values(static_cast<std::size_t>(count));
    for (double& value : values) {
      value = uniform(low, high);
    }
    return Tensor::from<double>(values, {count}).to(dtype);
  }

 private:
  std::uint64_t state_;
};

enum class Oddity { none, far, huge, not_a_number, strided, streaming, plain };

const char* name_of(Oddity oddity) {
  switch (oddity) {
    case Oddity::none:
      return "";
    case Oddity::far:
      return "/far";
    case Oddity::huge:
      return "/huge";
    case Oddity::not_a_number:
      return "/nan";
    case Oddity::strided:
      return "/strided";
    case Oddity::streaming:
      return "/streaming";
    case Oddity::plain:
      return "/plain";
  }
  return "";
}

/// Values of standard deviation about 1 around another mean in each channel.
std::vector<double> batch(Source& source, std::int64_t n, std::int64_t c, std::int64_t l,
                          Oddity oddity, DType dtype) {
  std::vector<double> values(static_cast<std::size_t>(n * c * l));
  const bool wide = dtype == DType::Float64 || dtype == DType::Float32;
  for (std::int64_t i = 0; i < n * c * l; ++i) {
    const std::int64_t channel = i / l % c;
    double value = source.uniform(-2, 2) + static_cast<double>(channel % 5) - 2;
    if (oddity == Oddity::far) {
      value += wide ? 1e6 : 100;
    }
    if (oddity == Oddity::huge && channel % 3 == 1) {
      value *= dtype == DType::Float16 ? 0x1p13 : 0x1p120;
    }
    values[static_cast<std::size_t>(i)] = value;
  }
  if (oddity == Oddity::not_a_number) {
    values[values.size() / 2] = std::numeric_limits<double>::quiet_NaN();
    values.back() = std::numeric_limits<double>::infinity();
  }
  return values;
}

/// The values in (N, C, L) order as a tensor: row-major, or with channels innermost; strided ones
/// lie within a larger tensor.
Tensor data(const std::vector<double>& values, Shape shape, DType dtype, bool channels_last,
            Oddity oddity) {
  const Tensor dense = Tensor::from<double>(values, shape).to(dtype);
  const std::int64_t gap = oddity == Oddity::strided ? 3 : 0;
  const bool last = channels_last && shape.size() == 3;
  const std::int64_t axis = last || shape.size() == 2 ? 1 : 2;
  const std::int64_t length = shape[static_cast<std::size_t>(axis)];
  shape[static_cast<std::size_t>(axis)] += gap;
  if (last) {
    std::swap(shape[1], shape[2]);
  }
  const Tensor whole = Tensor::zeros(shape, dtype);
  Tensor view = (last ? whole.transpose(1, 2) : whole).narrow(axis, gap / 2, length);
  return view.copy_(dense);
}

struct Extents {
  std::int64_t n, c, l;  ///< l = 0 stands for (N, C)
  Oddity oddity = Oddity::none;
};

// Shapes around whole vectors (4 to 64 elements), blocks (16 and 32 rows), 256 values per channel,
// the fold of short rows and few channels, and boxes for several threads.
constexpr Extents shapes[] = {
    {2, 1, 0},
    {2, 3, 0},
    {5, 7, 0},
    {20, 100, 0},
    {20, 100, 0, Oddity::not_a_number},
    {33, 17, 0},
    {257, 64, 0},
    {300, 65, 0, Oddity::far},
    {513, 33, 0, Oddity::strided},
    {64, 512, 0, Oddity::huge},
    {5000, 3, 0},
    {20000, 8, 0},
    {1, 1, 2},
    {1, 2, 8},
    {2, 1, 1000},
    {4, 3, 5, Oddity::plain},
    {2, 5, 33},
    {3, 130, 7, Oddity::huge},
    {64, 16, 16},
    {64, 512, 7},
    {7, 3, 257, Oddity::not_a_number},
    {7, 33, 65, Oddity::strided},
    {515, 9, 17},
    {640, 16, 33, Oddity::streaming},
    {5, 64, 100, Oddity::far},
    {2, 3, 20001},
    {16, 32, 512, Oddity::streaming},
    {600, 256, 0, Oddity::streaming},
};

Case make_case(const Extents& e, DType dtype, bool channels_last) {
  Source source(static_cast<std::uint64_t>(e.n * 1000003 + e.c * 1009 + e.l));
  Shape shape = {e.n, e.c};
  if (e.l > 0) {
    shape.push_back(e.l);
  }
  const std::int64_t l = std::max<std::int64_t>(e.l, 1);
  const DType statistics = dtype == DType::Float64 ? DType::Float64 : DType::Float32;
  const auto tensor = [&](Oddity oddity) {
    return data(batch(source, e.n, e.c, l, oddity, dtype), shape, dtype, channels_last, e.oddity);
  };
  Case made;
  made.name = "(" + std::to_string(e.n) + "," + std::to_string(e.c) + "," + std::to_string(e.l) +
              ")" + name_of(e.oddity);
  made.x = tensor(e.oddity);
  made.dy = tensor(Oddity::none);
  made.addend = tensor(Oddity::none);
  if (e.oddity != Oddity::plain) {
    made.weight = source.channels(e.c, 0.5, 1.5, statistics);
    made.bias = source.channels(e.c, -1, 1, statistics);
  }
  made.running_mean = source.channels(e.c, -2, 2, statistics);
  made.running_var = source.channels(e.c, 0.25, 2, statistics);
  if (e.oddity == Oddity::streaming) {
    made.streaming_threshold = 65536;
  }
  return made;
}

}  // namespace

std::vector<Case> make_cases(DType dtype, bool channels_last) {
  std::vector<Case> cases;
  for (const Extents& e : shapes) {
    cases.push_back(make_case(e, dtype, channels_last));
  }
  return cases;
}

}  // namespace corpus
