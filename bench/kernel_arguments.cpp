#include "kernel_arguments.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string_view>

namespace halnorm::bench {
namespace {

double tolerance_of(const halide_type_t& type) {
  if (type.bits > 16) return 1e-4;
  return 1e-4 + 4 * rounding_of(type.code == halide_type_float ? Element::F16 : Element::BF16);
}

bool is_positive(std::string_view name) {
  return name == "running_var" || name == "invstd" || name == "m2";
}

/// Cheap numbers in [-1, 1) that repeat at no short distance.
double noise(std::size_t index) {
  std::uint64_t bits = (index + 1) * 0x9E3779B97F4A7C15ULL;
  bits ^= bits >> 29U;
  bits *= 0xD6E8FEB86659FD93ULL;
  return static_cast<double>(static_cast<std::int64_t>(bits) >> 32) * 0x1p-31;
}

}  // namespace

KernelBuffer::KernelBuffer(const halide_filter_argument_t& argument, const BenchShape& shape)
    : type_(argument.type), positive_(is_positive(argument.name)) {
  std::vector<std::int64_t> extents{shape.c};
  if (argument.dimensions == 2) extents = {shape.c, shape.n * shape.l};
  if (argument.dimensions == 3) extents = {shape.l, shape.c, shape.n};
  std::int64_t stride = 1;
  for (const std::int64_t extent : extents) {
    axes_.emplace_back(0, static_cast<std::int32_t>(extent), static_cast<std::int32_t>(stride));
    stride *= extent;
  }
  size_ = static_cast<std::size_t>(stride);
  memory_ = std::make_unique<Memory>(size_ * static_cast<std::size_t>(type_.bytes()));
  buffer_.host = reinterpret_cast<std::uint8_t*>(memory_->data());
  buffer_.type = type_;
  buffer_.dimensions = argument.dimensions;
  buffer_.dim = axes_.data();
}

void KernelBuffer::fill() {
  for (std::size_t i = 0; i < size_; ++i) set(i, positive_ ? 1.5 + noise(i) : noise(i));
}

void KernelBuffer::spoil() { std::memset(memory_->data(), 0xFF, size_ * bytes()); }

void KernelBuffer::append_to(std::vector<double>& values) const {
  for (std::size_t i = 0; i < size_; ++i) values.push_back(get(i));
}

void KernelBuffer::set(std::size_t index, double value) {
  const auto narrow = static_cast<float>(value);
  std::uint16_t half = cut_to_bf16(narrow);
  if (type_.code == halide_type_float) half = cut_to_f16(narrow);
  const void* from = &half;
  if (bytes() == 4) from = &narrow;
  if (bytes() == 8) from = &value;
  std::memcpy(memory_->data() + index * bytes(), from, bytes());
}

double KernelBuffer::get(std::size_t index) const {
  const std::byte* at = memory_->data() + index * bytes();
  double value = 0;
  float narrow = 0;
  std::uint16_t half = 0;
  switch (bytes()) {
    case 8:
      std::memcpy(&value, at, sizeof value);
      return value;
    case 4:
      std::memcpy(&narrow, at, sizeof narrow);
      return static_cast<double>(narrow);
    default:
      std::memcpy(&half, at, sizeof half);
      narrow = type_.code == halide_type_float ? from_f16(half) : from_bf16(half);
      return static_cast<double>(narrow);
  }
}

KernelArguments::KernelArguments(const halide_filter_metadata_t& metadata,
                                 const BenchShape& shape) {
  const std::map<std::string_view, double> known{
      {"eps", 1e-5}, {"factor", 0.1}, {"count", static_cast<double>(shape.per_channel())}};
  for (int i = 0; i < metadata.num_arguments; ++i) {
    const halide_filter_argument_t& argument = metadata.arguments[i];
    if (argument.kind == halide_argument_kind_input_scalar) {
      scalars_.push_back(std::make_unique<double>(known.at(argument.name)));
      pointers_.push_back(scalars_.back().get());
      continue;
    }
    buffers_.push_back(std::make_unique<KernelBuffer>(argument, shape));
    pointers_.push_back(buffers_.back()->argument());
    if (argument.kind == halide_argument_kind_output_buffer) {
      outputs_.push_back(buffers_.back().get());
      tolerance_ = std::max(tolerance_, tolerance_of(argument.type));
    } else {
      buffers_.back()->fill();
    }
  }
}

void KernelArguments::spoil_outputs() {
  for (KernelBuffer* output : outputs_) output->spoil();
}

std::vector<double> KernelArguments::outputs() const {
  std::vector<double> all;
  for (const KernelBuffer* output : outputs_) output->append_to(all);
  return all;
}

}  // namespace halnorm::bench
