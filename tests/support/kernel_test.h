#pragma once

#include <gtest/gtest.h>

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "halnorm/error.h"
#include "halnorm/functional.h"
#include "halnorm/kernels.h"
#include "support/cases/inputs.h"
#include "support/cases/placement.h"
#include "support/cases/shapes.h"
#include "support/oracle.h"

/// @file
/// Parts of every test of the kernels: one case per (target, dtype, layout), a fixture that forces
/// the target, and comparisons that print the place and the size of a difference.

/// One way to run an operation.
struct KernelCase {
  std::string target;
  halnorm::DType dtype = halnorm::DType::Float32;
  placement::Layout layout = placement::Layout::Ncl;
};

/// Prints a case; GoogleTest looks for this name.
void PrintTo(const KernelCase& kernel_case,  // NOLINT(readability-identifier-naming)
             std::ostream* out);

/// "avx2_float32_nlc".
std::string name_of(const KernelCase& kernel_case);
std::string name_of_param(const ::testing::TestParamInfo<KernelCase>& info);

/// Whether the target has kernels of its own for a dtype: a faster target may run a slower one's.
bool has_own_kernels(const std::string& target, halnorm::DType dtype);
/// The targets this machine runs that have such kernels, fastest first.
std::vector<std::string> targets_of(halnorm::DType dtype);

/// Every target this machine runs x every dtype that it has kernels of its own for x every layout.
std::vector<KernelCase> every_case();
/// The same without the layout whose elements share memory, which no output may have.
std::vector<KernelCase> writable_cases();
/// The same with the dense layouts only, for tests that do not depend on strides.
std::vector<KernelCase> dense_cases();

/// Whether HALNORM_TEST_BRIEF is set in the environment. Tests of many elements are then shortened,
/// because an emulator is slow.
bool is_brief();

/// Forces the case's target while a test runs, and restores the choice and the number of threads
/// after it.
class KernelTest : public ::testing::TestWithParam<KernelCase> {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// The thread's latest kernel is `operation` of this case's target, dtype and layout.
  void expect_kernel(std::string_view operation, const shapes::Extents& extents) const;

  [[nodiscard]] halnorm::DType dtype() const { return GetParam().dtype; }
  [[nodiscard]] placement::Layout layout() const { return GetParam().layout; }
  [[nodiscard]] inputs::Source source(const shapes::Extents& extents) const;

  /// The values with each of which a test repeats a shape. When brief, a large shape meets one of
  /// them, the next one in the next layout and dtype, so that among them it meets all.
  template <class T>
  [[nodiscard]] std::vector<T> each_of(std::vector<T> values,
                                       const shapes::Extents& extents) const {
    if (is_brief() && extents.numel() > large) {
      return {values[turn(extents) % values.size()]};
    }
    return values;
  }

  /// Shape, layout, dtype, target, seed, and the command line that repeats this test alone.
  [[nodiscard]] std::string describe(const shapes::Extents& extents) const;

 private:
  static constexpr std::int64_t large = 6000;  ///< beyond all of shapes::small()
  [[nodiscard]] std::size_t turn(const shapes::Extents& extents) const;
};

/// Checks that every |got - want| is at most `tolerance` plus the error of storing it as `stored`,
/// and that `got` has a NaN where `want` has one and nowhere else.
void expect_near(const std::vector<double>& got, const oracle::Values& want, double tolerance,
                 std::string_view what, halnorm::DType stored = halnorm::DType::Float64);

double largest(const oracle::Values& values);

/// NaN equals NaN, and 0 does not equal -0.
bool same_bits(const std::vector<double>& a, const std::vector<double>& b);
