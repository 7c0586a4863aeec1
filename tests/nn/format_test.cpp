#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::Echo;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::Module;
using halnorm::nn::Sequential;

namespace {

std::string with_eps(double eps) { return BatchNorm1d(3, {.eps = eps}).extra_repr(); }

/// Its extra_repr() has two lines.
class TwoLines : public Echo {
 public:
  [[nodiscard]] std::string extra_repr() const override { return "one=1\ntwo=2"; }
};

template <class T>
class Generic : public Echo {};

template <class Base>
class Derived : public Base {
 public:
  using Base::Base;
  class Inner : public Base {
   public:
    using Base::Base;
  };
};

template <class Base, class... Arguments>
void expect_own_names(const std::string& base, Arguments... arguments) {
  class Local : public Base {
   public:
    using Base::Base;
  };
  EXPECT_EQ(Base(arguments...).name(), base);
  EXPECT_EQ(Local(arguments...).name(), "Local") << "of " << base;
  EXPECT_EQ(Derived<Base>(arguments...).name(), "Derived") << "of " << base;
  EXPECT_EQ(typename Derived<Base>::Inner(arguments...).name(), "Inner") << "of " << base;
  EXPECT_EQ(Local(arguments...).str().rfind("Local(", 0), 0U);
}

class Renamed : public BatchNorm1d {
 public:
  using BatchNorm1d::BatchNorm1d;
  [[nodiscard]] std::string name() const override { return "MyNorm"; }
};

}  // namespace

TEST(Format, BatchNorm) {
  EXPECT_EQ(BatchNorm1d(3).str(),
            "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)");
  const BatchNorm1d other(
      7, {.eps = 0.001, .momentum = std::nullopt, .affine = false, .track_running_stats = false});
  EXPECT_EQ(other.str(),
            "BatchNorm1d(7, eps=0.001, momentum=None, affine=False, track_running_stats=False)");
  std::ostringstream stream;
  stream << other;
  EXPECT_EQ(stream.str(), other.str());
}

TEST(Format, FloatsAreWrittenAsPythonDoes) {
  const std::pair<double, const char*> cases[] = {
      {1e-5, "eps=1e-05,"},
      {0.0001, "eps=0.0001,"},
      {0.00012, "eps=0.00012,"},
      {1, "eps=1.0,"},
      {0, "eps=0.0,"},
      {12.5, "eps=12.5,"},
      {1500, "eps=1500.0,"},
      {1e15, "eps=1000000000000000.0,"},
      {1e16, "eps=1e+16,"},
      {1.5e300, "eps=1.5e+300,"},
      {2.5e-7, "eps=2.5e-07,"},
      {5e-324, "eps=5e-324,"},
      {0.1 + 0.2, "eps=0.30000000000000004,"},
  };
  for (const auto& [eps, text] : cases) {
    EXPECT_TRUE(fixture::contains(with_eps(eps), text)) << with_eps(eps) << " lacks " << text;
  }
  EXPECT_TRUE(fixture::contains(BatchNorm1d(3, {.momentum = -2}).extra_repr(), "momentum=-2.0,"));
}

TEST(Format, Trees) {
  EXPECT_EQ(Echo().str(), "Echo()");
  EXPECT_EQ(TwoLines().str(), "TwoLines(\n  one=1\n  two=2\n)");
  Sequential outer;
  outer.emplace<Echo>();
  const auto inner = outer.emplace<Sequential>();
  inner->emplace<TwoLines>();
  outer.add_module("none", nullptr);
  outer.add_module("again", inner);
  const std::string shown =
      "Sequential(\n"
      "    (0): TwoLines(\n"
      "      one=1\n"
      "      two=2\n"
      "    )\n"
      "  )\n";
  EXPECT_EQ(outer.str(),
            "Sequential(\n"
            "  (0): Echo()\n"
            "  (1): " +
                shown +
                "  (none): None\n"
                "  (again): " +
                shown + ")");
}

TEST(Format, OneLineBesideChildrenStandsAlone) {
  BatchNorm1d layer(1);
  layer.add_module("child", std::make_shared<Echo>());
  EXPECT_EQ(layer.str(),
            "BatchNorm1d(\n"
            "  1, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True\n"
            "  (child): Echo()\n"
            ")");
  EXPECT_EQ(layer.shallow_str(),
            "BatchNorm1d(1, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)");
}

TEST(Format, NamesAreThoseOfTheClass) {
  EXPECT_EQ(Module().name(), "Module");
  EXPECT_EQ(Echo().name(), "Echo");
  EXPECT_EQ(TwoLines().name(), "TwoLines") << "in an unnamed namespace";
  EXPECT_EQ(Generic<std::string>().name(), "Generic");
  using Pair = std::pair<int, Generic<int>>;
  EXPECT_EQ(Generic<Pair>().name(), "Generic");
}

TEST(Format, ASubclassHasItsOwnName) {
  expect_own_names<Module>("Module");
  expect_own_names<halnorm::nn::Sequential>("Sequential");
  expect_own_names<halnorm::nn::ModuleList>("ModuleList");
  expect_own_names<halnorm::nn::ModuleDict>("ModuleDict");
  expect_own_names<BatchNorm1d>("BatchNorm1d", 2);
  expect_own_names<halnorm::nn::BatchNorm2d>("BatchNorm2d", 2);
  expect_own_names<halnorm::nn::BatchNorm3d>("BatchNorm3d", 2);
  expect_own_names<halnorm::nn::FusedBatchNorm1d>("FusedBatchNorm1d", 2);
  EXPECT_EQ(Renamed(2).name(), "MyNorm");
  const auto in_a_lambda = [](const auto& /*any*/) {
    class Hidden : public Echo {};
    return Hidden().name();
  };
  EXPECT_EQ(in_a_lambda(std::string()), "Hidden");
}

TEST(Format, MessagesNameTheSubclass) {
  Derived<BatchNorm1d> layer(3);
  expect_throws<halnorm::ShapeError>([&] { layer(halnorm::Tensor::ones({2, 4})); }, {"Derived: "});
}

TEST(Format, OnlyTheEmptySpecification) {
  const BatchNorm1d layer(3);
  EXPECT_EQ(layer.format(""), layer.str());
  expect_throws<halnorm::ValueError>(
      [&] { static_cast<void>(layer.format(">10")); },
      {"unsupported format string passed to BatchNorm1d.__format__", "'>10'"});
}

TEST(Format, Formatter) {
#ifdef __cpp_lib_format
  const BatchNorm1d layer(3);
  EXPECT_EQ(std::format("{}", layer), layer.str());
  EXPECT_THROW(static_cast<void>(std::vformat("{:>10}", std::make_format_args(layer))),
               std::format_error);
#else
  GTEST_SKIP() << "this standard library has no std::format";
#endif
}
