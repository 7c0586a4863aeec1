#include "buffers.h"

#include <cstdlib>
#include <new>

namespace halnorm::bench {
namespace {

constexpr std::size_t page = 4096;

}  // namespace

Memory::Memory(std::size_t bytes) {
  const std::size_t rounded = (bytes / page + 1) * page;
  data_.reset(static_cast<std::byte*>(std::aligned_alloc(page, rounded)));
  if (!data_) throw std::bad_alloc();
  std::memset(data_.get(), 0, rounded);
}

void Memory::Free::operator()(std::byte* pointer) const { std::free(pointer); }

}  // namespace halnorm::bench
