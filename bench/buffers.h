#pragma once

#include <cstddef>
#include <cstring>
#include <memory>

#include "element.h"

namespace halnorm::bench {

/// Page-aligned memory of which every page has been written, so that no page fault falls into a
/// measurement. Holds whole pages, and at least one byte more than asked for.
class Memory {
 public:
  explicit Memory(std::size_t bytes);
  [[nodiscard]] std::byte* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(std::byte* pointer) const;
  };
  std::unique_ptr<std::byte[], Free> data_;
};

/// Float32 values: one per channel.
class FloatBuffer {
 public:
  explicit FloatBuffer(std::size_t size) : size_(size), memory_(size * sizeof(float)) {}

  [[nodiscard]] float* data() const { return reinterpret_cast<float*>(memory_.data()); }
  [[nodiscard]] std::size_t size() const { return size_; }
  float& operator[](std::size_t index) { return data()[index]; }
  float operator[](std::size_t index) const { return data()[index]; }

 private:
  std::size_t size_;
  Memory memory_;
};

/// The elements of a tensor, in any of the dtypes.
class DataBuffer {
 public:
  DataBuffer(Element element, std::size_t size)
      : element_(element), size_(size), memory_(size * size_of(element)) {}

  [[nodiscard]] void* data() const { return memory_.data(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t bytes() const { return size_ * size_of(element_); }
  [[nodiscard]] Element element() const { return element_; }

  [[nodiscard]] float operator[](std::size_t index) const {
    const std::byte* at = memory_.data() + index * size_of(element_);
    if (element_ == Element::F32) return load<float>(at);
    const auto bits = load<std::uint16_t>(at);
    return element_ == Element::F16 ? from_f16(bits) : from_bf16(bits);
  }

  /// Stores the value, cut to what the element can hold.
  void set(std::size_t index, float value) {
    std::byte* at = memory_.data() + index * size_of(element_);
    if (element_ == Element::F32) {
      std::memcpy(at, &value, sizeof value);
      return;
    }
    const std::uint16_t bits = element_ == Element::F16 ? cut_to_f16(value) : cut_to_bf16(value);
    std::memcpy(at, &bits, sizeof bits);
  }

  /// Makes every element NaN: what a call leaves out is then seen.
  void spoil() { std::memset(data(), 0xFF, bytes()); }

 private:
  template <class T>
  static T load(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }

  Element element_;
  std::size_t size_;
  Memory memory_;
};

}  // namespace halnorm::bench
