#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <new>
#include <string>
#include <vector>

#include "halnorm/error.h"
#include "halnorm/memory.h"
#include "halnorm/tensor.h"
#include "support/failing_memory.h"

/// @file
/// Repeats calls, each time with another allocation that fails.

namespace failing_memory {

using Bits = std::vector<double>;

inline void keep(Bits& bits, const halnorm::Tensor& tensor) {
  if (tensor.defined()) {
    const Bits values = tensor.to_vector<double>();
    bits.insert(bits.end(), values.begin(), values.end());
  }
}

/// The call fails at its first allocation, at its second, ..., until one attempt needs no more.
/// state() returns the bits that must not change. Returns the number of allocations.
inline int fail_at_each_allocation(const std::function<Bits()>& state,
                                   const std::function<void()>& call, Mode mode) {
  const Bits before = state();
  for (int allocation = 1; allocation < 10000; ++allocation) {
    bool failed = false;
    halnorm::empty_cache();  // or a call that ran before allocates nothing
    try {
      const From from(allocation, mode);
      call();
    } catch (const std::bad_alloc&) {
      failed = true;
    } catch (const halnorm::KernelError& error) {
      failed = true;
      const std::string text = error.what();
      EXPECT_TRUE(text.find("Out of memory") != std::string::npos ||
                  text.find("no thread can be started") != std::string::npos)
          << text;
    }
    if (!failed) {
      return allocation - 1;
    }
    EXPECT_EQ(state(), before) << "after allocation " << allocation << " failed";
    if (::testing::Test::HasFailure()) {
      break;
    }
  }
  ADD_FAILURE() << "the call never succeeded";
  return 0;
}

inline void expect_unchanged(const std::function<Bits()>& state,
                             const std::function<void()>& call) {
  for (const Mode mode : {Mode::once, Mode::on}) {
    EXPECT_GT(fail_at_each_allocation(state, call, mode), 0);
  }
}

}  // namespace failing_memory
