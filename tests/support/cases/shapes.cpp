#include "support/cases/shapes.h"

namespace shapes {

std::string Extents::str() const {
  std::string text = "(";
  text.append(std::to_string(n)).append(", ").append(std::to_string(c)).append(", ");
  return text.append(std::to_string(l)).append(")");
}

std::vector<Extents> small() {
  return {
      {1, 1, 2, "two values in all"},
      {2, 1, 1, "two rows of one value"},
      {2, 3, 1, "rows shorter than any vector"},
      {20, 100, 1, "the usual small layer, a float vector and a rest of 4"},
      {7, 15, 1, "one less than a 512-bit vector of floats"},
      {3, 16, 1, "just one 512-bit vector of floats"},
      {3, 17, 1, "one more than it"},
      {3, 7, 15, "one less than a vector along L"},
      {2, 5, 16, "one vector along L"},
      {2, 33, 17, "one more, and more channels than a group of 32"},
      {5, 31, 3, "positions fewer than any vector, one channel less than a group"},
      {1, 3, 100, "one row"},
      {3, 1, 65, "one channel"},
      {2, 65, 7, "one more than 64 channels"},
      {3, 63, 31, "odd in every direction"},
      {2, 2, 257, "a few vectors and one"},
  };
}

std::vector<Extents> trainable() {
  std::vector<Extents> all = small();
  const std::vector<Extents> larger = {
      {2, 2, 1023, "one less than a power of two"},
      {2, 65, 63, "one less than four vectors, and more than 64 channels"},
      {1, 2, 4099, "a row longer than a block of 4096"},
      {3, 3, 4097, "rows of one block and one value"},
      {70, 3, 100, "blocks of several rows"},
      {4500, 3, 1, "more rows than a block of 4096, each shorter than a vector"},
      {300, 70, 1, "more rows than a block of 512 and some, more than 64 channels"},
      {1030, 1, 7, "one channel, short rows"},
      {4, 96, 49, "channels in groups of 32, positions of a 7 x 7 image"},
      {512, 17, 1, "the most rows of a small call, a vector and a rest"},
      {1030, 16, 1, "one vector of channels, and too many rows for one loop"},
      {600, 31, 1, "the same with a vector and a rest"},
      {7, 4099, 1, "so many channels that their coefficients outgrow a first-level cache"},
      {12, 130, 33, "large enough to be spread over threads"},
  };
  all.insert(all.end(), larger.begin(), larger.end());
  return all;
}

std::vector<Extents> single_value() {
  return {{1, 1, 1, "one value in all"}, {1, 37, 1, "one row of single values"}};
}

std::vector<Extents> without_values() {
  return {
      {0, 5, 1, "no rows"}, {0, 5, 7, "no rows of several positions"}, {3, 5, 0, "no positions"}};
}

}  // namespace shapes
