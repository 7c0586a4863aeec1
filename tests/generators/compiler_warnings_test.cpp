// What a build shows of the Halide compiler's warnings: generators/warnings.cpp is linked in.

#include <Halide.h>
#include <gtest/gtest.h>

namespace {

using Halide::cast;
using Halide::Func;
using Halide::Var;

/// What is written to stderr while the pipeline is compiled.
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
  const Var x, outer, inner;
  Func inlined, f;
  inlined(x) = x * 2;
  f(x) = inlined(x) + inlined(x + 1);
  inlined.split(x, outer, inner, 4);
  EXPECT_NE(said_of(f).find("Warning: It is meaningless to split variable"), std::string::npos);
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
