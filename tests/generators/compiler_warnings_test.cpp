// Tests which of the Halide compiler's warnings a build shows, and which faults of a schedule end
// it: generators/warnings.cpp and generators/schedule/checks.cpp are linked in.

#include <Halide.h>
#include <gtest/gtest.h>

#include "schedule/checks.h"

namespace {

using Halide::cast;
using Halide::Func;
using Halide::Var;

/// The output on stderr while the pipeline is compiled.
std::string said_of(Func pipeline) {
  testing::internal::CaptureStderr();
  pipeline.compile_to_bitcode("/dev/null", {}, "pipeline", Halide::Target("x86-64-linux"));
  return testing::internal::GetCapturedStderr();
}

TEST(CompilerWarnings, ThatNarrowNumbersAreEmulatedIsNotSaid) {
  const Var x;
  for (const Halide::Type type : {Halide::Float(16), Halide::BFloat(16)}) {
    Func f;
    f(x) = cast<float>(cast(type, cast<float>(x) / 3)) * 2;
    EXPECT_EQ(said_of(f), "");
  }
}

TEST(CompilerWarnings, AllOthersAre) {
  testing::internal::CaptureStderr();
  Halide::Internal::issue_warning("a warning of any other kind");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "a warning of any other kind");
}

TEST(CompilerWarnings, ADirectiveWithoutEffectIsAnError) {
  const Var x, outer, inner;
  Func inlined, f;
  inlined(x) = x * 2;
  f(x) = inlined(x) + inlined(x + 1);
  inlined.split(x, outer, inner, 4);
  EXPECT_THROW(said_of(f), Halide::CompileError);
  testing::internal::GetCapturedStderr();
}

TEST(CompilerWarnings, AForgottenUpdateIsAnError) {
  const Var x;
  Func f;
  f(x) = x;
  f(x) += 1;
  f.vectorize(x, 4);
  EXPECT_THROW(said_of(f), Halide::CompileError);
  testing::internal::GetCapturedStderr();
}

TEST(CompilerWarnings, AForgottenSumIsAnError) {
  const Var x;
  const Halide::RDom r(0, 8);
  Func sum, f;
  sum(x) = 0;
  sum(x) += r * x;
  f(x) = sum(x) * 2;
  EXPECT_THROW(halnorm::schedule::require_scheduled(Halide::Pipeline(f)), Halide::CompileError);
  sum.compute_root();
  EXPECT_NO_THROW(halnorm::schedule::require_scheduled(Halide::Pipeline(f)));
}

TEST(CompilerWarnings, ErrorsAreThrown) {
  try {
    const Halide::Target target("x86-64-linux-nonsense");
    ADD_FAILURE() << "took " << target.to_string();
  } catch (const Halide::Error& error) {
    EXPECT_NE(std::string(error.what()).find("x86-64-linux-nonsense"), std::string::npos);
  }
}

}  // namespace
