#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <new>

#include "support/every_operation.h"
#include "support/kernel_test.h"

/// @file
/// No kernel reads or writes beside a tensor, which lies between pages that may not be touched.

using every_operation::all_operations;
using every_operation::Results;
using halnorm::Shape;
using halnorm::Tensor;

namespace {

/// Memory for one tensor that begins, or ends, at such a page.
class BetweenPages {
 public:
  BetweenPages(std::size_t bytes, bool at_end)
      : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))),
        inside_((bytes + page_ - 1) / page_ * page_),
        memory_(mmap(nullptr, inside_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (memory_ == MAP_FAILED) throw std::bad_alloc();
    auto* first = static_cast<std::byte*>(memory_) + page_;
    if (mprotect(first, inside_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
    data_ = at_end ? first + inside_ - bytes : first;
  }
  BetweenPages(const BetweenPages&) = delete;
  BetweenPages& operator=(const BetweenPages&) = delete;
  ~BetweenPages() { munmap(memory_, inside_ + 2 * page_); }

  [[nodiscard]] void* data() const { return data_; }

 private:
  std::size_t page_, inside_;
  void* memory_;
  std::byte* data_ = nullptr;
};

class GuardPages : public KernelTest {
 protected:
  [[nodiscard]] bool channels_last() const { return layout() != placement::Layout::Ncl; }

  /// A tensor of this shape in the case's layout.
  [[nodiscard]] Tensor wrap(void* data, const Shape& shape) const {
    return channels_last() ? every_operation::channels_second(Tensor::from_blob(
                                 data, every_operation::channels_last(shape), dtype()))
                           : Tensor::from_blob(data, shape, dtype());
  }

  void run(const Shape& shape, bool at_end, bool same_plans) const {
    const auto bytes =
        static_cast<std::size_t>(Tensor::empty(shape, dtype()).numel()) * size_of(dtype());
    std::list<BetweenPages> memory;
    const auto tensor = [&] { return wrap(memory.emplace_back(bytes, at_end).data(), shape); };
    const auto filled = [&](std::uint64_t seed) {
      Tensor t = tensor();
      t.copy_(Tensor::randn(shape, seed, dtype()));
      return t;
    };
    const auto copy = [&](const Tensor& t) {
      return channels_last() ? every_operation::dense_copy(t) : t.clone();
    };
    const Tensor x = filled(1);
    const Tensor dy = filled(2);
    const Tensor addend = filled(3);
    const Results got = all_operations(x, dy, addend, tensor);
    // Non-temporal stores need an output that starts at a line, as an output of the library does.
    if (same_plans) {
      expect_same(got, all_operations(copy(x), copy(dy), copy(addend), [] { return Tensor(); }));
    }
  }

 private:
  static void expect_same(const Results& got, const Results& want) {
    for (const auto list : {&Results::data, &Results::channels}) {
      for (std::size_t i = 0; i < (want.*list).size(); ++i) {
        EXPECT_TRUE(same_bits((got.*list)[i].second.to_vector<double>(),
                              (want.*list)[i].second.to_vector<double>()))
            << (want.*list)[i].first;
      }
    }
  }
};

/// The outputs of (4, 4, 1048) start at a line in both places, and their rows do not: those of
/// every dtype are long enough for non-temporal stores.
TEST_P(GuardPages, AreNotTouched) {
  for (const std::int64_t threshold : {halnorm::default_streaming_threshold, std::int64_t{1}}) {
    halnorm::set_streaming_threshold(threshold);
    for (const Shape& shape :
         {Shape{5, 3, 1}, Shape{40, 33, 1}, Shape{150, 65, 2}, Shape{9, 31, 17}, Shape{33, 7, 9},
          Shape{3, 5, 257}, Shape{4, 4, 1048}, Shape{700, 17, 1}}) {
      for (const bool at_end : {false, true}) {
        SCOPED_TRACE(::testing::PrintToString(shape) + (at_end ? " at the end" : ""));
        run(shape, at_end, threshold == halnorm::default_streaming_threshold);
      }
    }
  }
  halnorm::set_streaming_threshold(halnorm::default_streaming_threshold);
}

INSTANTIATE_TEST_SUITE_P(Kernels, GuardPages, ::testing::ValuesIn(dense_cases()), name_of_param);

}  // namespace
