#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "halnorm/halnorm.h"
#include "support/cases/placement.h"
#include "support/cases/problem.h"

/// @file
/// The common part of the tests of devices. They run on each device that is linked and present, and
/// are skipped, with the reason, if there is none.

namespace on_device {

/// One way to run an operation.
struct Case {
  halnorm::Device device;
  halnorm::DType dtype = halnorm::DType::Float32;
  placement::Layout layout = placement::Layout::Ncl;
};

/// GoogleTest then prints a case's name rather than its bytes.
std::ostream& operator<<(std::ostream& out, const Case& c);

std::string name_of_param(const ::testing::TestParamInfo<Case>& info);

/// The devices whose kernels are linked, whether or not they can be used here.
std::vector<halnorm::Device> linked();

/// Every linked device x every dtype x the dense layouts.
std::vector<Case> cases();

/// One case for each linked device, for tests that do not depend on dtype and layout.
std::vector<Case> one_case_each();

/// The CPU's shapes; some whose blocks are split over many groups of threads; and some with as many
/// values of a channel as one launch takes, or one more.
std::vector<shapes::Extents> all_shapes();

/// Whether an operation also has a kernel for channels of few values (two). If so, only channels of
/// more values than its limit reach the other kernel. Otherwise more values than one block of
/// threads takes suffice.
enum class Forms { one, two };

/// Skips the test if the device cannot be used.
class Test : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override;

  [[nodiscard]] halnorm::Device device() const { return GetParam().device; }
  [[nodiscard]] halnorm::DType dtype() const { return GetParam().dtype; }
  /// These shapes. If the environment has HALNORM_FEW_SHAPES, only as many as reach every kernel of
  /// the case, because an interpreter of kernels takes seconds for each.
  [[nodiscard]] std::vector<shapes::Extents> unless_few(const std::vector<shapes::Extents>& all,
                                                        Forms forms = Forms::one) const;
  /// The means of the data; one if few shapes are enough.
  [[nodiscard]] static std::vector<double> means();
  [[nodiscard]] Problem problem(const shapes::Extents& extents, double mean) const;

  /// The tensor on the device, in the same order in memory.
  [[nodiscard]] halnorm::Tensor there(const halnorm::Tensor& host) const;

  /// The thread's latest kernel is one of this device.
  void expect_ran_there() const;
};

}  // namespace on_device
