#include "support/kernel_test.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ostream>

#include "support/cases/element.h"
#include "support/tolerance.h"

using halnorm::DType;
using placement::Layout;

namespace {

std::uint64_t seed_of(const shapes::Extents& extents) {
  return static_cast<std::uint64_t>(extents.n * 1000003 + extents.c * 1009 + extents.l);
}

std::vector<KernelCase> cases(const std::vector<Layout>& layouts) {
  std::vector<KernelCase> result;
  for (const std::string& target : halnorm::targets()) {
    for (const DType dtype : element::linked()) {
      for (const Layout layout : layouts) {
        if (has_own_kernels(target, dtype)) {
          result.push_back({target, dtype, layout});
        }
      }
    }
  }
  return result;
}

/// The layout of the kernel that reads this batch, "" if both layouts are the same in memory.
std::string kernel_layout(Layout layout, const shapes::Extents& extents) {
  if (extents.c == 1 || extents.l == 1) {
    return layout == Layout::Nc ? "nlc" : "";
  }
  const bool channel_last =
      layout == Layout::Nlc || layout == Layout::Nc || layout == Layout::ChannelsWindow;
  return channel_last ? "nlc" : "ncl";
}

/// The last kernel of an operation that runs in two passes: for short rows and few channels, which
/// are folded into columns, and for large tensors with non-temporal stores.
std::string second_half(std::string_view operation) {
  if (operation == "batch_norm_backward") {
    return "batch_norm_backward_elemt";
  }
  if (operation.starts_with("batch_norm_fused")) {
    return "batch_norm_fused_elemt";
  }
  const bool reduces = operation == "batch_norm_moments" ||
                       operation == "batch_norm_backward_reduce" ||
                       operation == "batch_norm_backward_elemt";
  return reduces ? std::string(operation) : "batch_norm_elemt";
}

}  // namespace

std::string name_of(const KernelCase& kernel_case) {
  return kernel_case.target + "_" + std::string(halnorm::name_of(kernel_case.dtype)) + "_" +
         placement::name_of(kernel_case.layout);
}

void PrintTo(const KernelCase& kernel_case, std::ostream* out) { *out << name_of(kernel_case); }

std::string name_of_param(const ::testing::TestParamInfo<KernelCase>& info) {
  return name_of(info.param);
}

bool has_own_kernels(const std::string& target, DType dtype) {
  const std::vector<halnorm::KernelInfo> all = halnorm::kernels();
  return std::any_of(all.begin(), all.end(), [&](const halnorm::KernelInfo& kernel) {
    return kernel.target == target && kernel.dtype == element::short_name(dtype);
  });
}

std::vector<std::string> targets_of(DType dtype) {
  std::vector<std::string> own = halnorm::targets();
  std::erase_if(own, [&](const std::string& t) { return !has_own_kernels(t, dtype); });
  return own;
}

std::vector<KernelCase> every_case() { return cases(placement::all_layouts()); }

std::vector<KernelCase> writable_cases() {
  std::vector<Layout> layouts = placement::all_layouts();
  std::erase(layouts, Layout::Broadcast);
  return cases(layouts);
}

std::vector<KernelCase> dense_cases() { return cases({Layout::Ncl, Layout::Nlc, Layout::Nc}); }

bool is_brief() { return std::getenv("HALNORM_TEST_BRIEF") != nullptr; }

void KernelTest::SetUp() { halnorm::force_target(GetParam().target); }

void KernelTest::TearDown() {
  halnorm::force_target("");
  halnorm::set_num_threads(0);
}

void KernelTest::expect_kernel(std::string_view operation, const shapes::Extents& extents) const {
  const std::string kernel = halnorm::last_kernel();
  const std::string tail =
      std::string("_") + element::short_name(dtype()) + "__" + GetParam().target;
  const std::string wanted = kernel_layout(layout(), extents);
  const std::string half = second_half(operation);
  std::vector<std::string> any{half + "_ncl", half + "_nlc", half + "_exact_ncl",
                               half + "_exact_nlc"};
  if (wanted != "nlc") {
    any.push_back(std::string(operation) + "_ncl");
    any.push_back(std::string(operation) + "_exact_ncl");
  }
  if (wanted != "ncl") {
    any.push_back(std::string(operation) + "_nlc");
    any.push_back(std::string(operation) + "_exact_nlc");
    any.push_back(std::string(operation) + "_single_pass_nlc");
  }
  const bool found = std::any_of(any.begin(), any.end(), [&](const std::string& name) {
    return kernel == "halnorm_" + name + tail;
  });
  EXPECT_TRUE(found) << "ran " << kernel << ", wanted " << operation << " or " << half << " in "
                     << (wanted.empty() ? "any layout" : wanted) << ", " << tail;
}

inputs::Source KernelTest::source(const shapes::Extents& extents) const {
  return {seed_of(extents), dtype()};
}

std::size_t KernelTest::turn(const shapes::Extents& extents) const {
  return static_cast<std::size_t>(extents.n + extents.c + extents.l) +
         static_cast<std::size_t>(layout()) + static_cast<std::size_t>(dtype());
}

std::string KernelTest::describe(const shapes::Extents& extents) const {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  return "shape " + extents.str() + ": " + extents.reason + "; layout " +
         placement::name_of(layout()) + ", dtype " + std::string(halnorm::name_of(dtype())) +
         ", target " + GetParam().target + ", seed " + std::to_string(seed_of(extents)) +
         "\nrepeat with --gtest_filter=" + test->test_suite_name() + "." + test->name();
}

void expect_near(const std::vector<double>& got, const oracle::Values& want, double tolerance,
                 std::string_view what, DType stored) {
  ASSERT_EQ(got.size(), want.size()) << what;
  double worst = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto wanted = static_cast<double>(want[i]);
    if (std::isnan(got[i]) != std::isnan(wanted)) {
      FAIL() << what << "[" << i << "]: got " << got[i] << ", wanted " << wanted;
    }
    const double error = std::fabs(static_cast<double>(oracle::Real{got[i]} - want[i])) -
                         tolerance::storing(stored, wanted);
    if (error > worst) {
      worst = error;
      at = i;
    }
  }
  EXPECT_LE(worst, tolerance) << what << "[" << at << "]: got " << got[at] << ", wanted "
                              << static_cast<double>(want[at]);
}

double largest(const oracle::Values& values) {
  double result = 0;
  for (const oracle::Real& value : values) {
    result = std::max(result, std::fabs(static_cast<double>(value)));
  }
  return result;
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}
