#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <sstream>
#include <streambuf>
#include <string>

#include "halnorm/serialize.h"
#include "nn/fixture.h"
#include "support/safetensors.h"
#include "support/throws.h"

using fixture::tensor;
using fixture::values;
using halnorm::DType;
using halnorm::StateDict;
using halnorm::Tensor;
using halnorm::ValueError;
using safetensors_file::load_bytes;
using safetensors_file::saved;

TEST(Safetensors, RoundTrip) {
  StateDict state;
  const double specials[] = {0.0, -0.0, 5e-324, std::numeric_limits<double>::infinity(), -1.5};
  state.set("half", tensor({1, -2, 0.5F}).to(DType::Float16));
  state.set("doubles", Tensor::from<double>(specials, {5}));
  state.set("caf\u00e9 \"x\"\n", tensor({3}));
  state.set("brain", tensor({1, 2, 3, 4}, {2, 2}).to(DType::BFloat16));
  state.set("count", Tensor::full({}, 123456789, DType::Int64));
  state.set("empty", Tensor::zeros({3, 0, 2}));
  state.set("strided", tensor({1, 2, 3, 4, 5, 6}, {2, 3}).transpose(0, 1));
  state.metadata()["note"] = "any text\u2026";
  const std::string bytes = saved(state);
  const StateDict back = load_bytes(bytes);
  EXPECT_EQ(back.names(), state.names()) << "the order is that of the dictionary";
  EXPECT_EQ(back.metadata(), state.metadata());
  for (const auto& [name, tensor] : state) {
    EXPECT_EQ(back.at(name).dtype(), tensor.dtype()) << name;
    EXPECT_EQ(back.at(name).shape(), tensor.shape()) << name;
    EXPECT_EQ(values(back.at(name)), values(tensor)) << name;
  }
  EXPECT_EQ(saved(back), bytes);
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  EXPECT_EQ(header % 8, 0U) << "the data begins aligned";
  std::istringstream stream(bytes);
  EXPECT_EQ(halnorm::load(stream).names(), state.names());
  EXPECT_TRUE(load_bytes(saved({})).empty());
}

TEST(Safetensors, WhatCannotBeSaved) {
  EXPECT_THROW(saved({{"none", Tensor()}}), ValueError);
  expect_throws<ValueError>([] { saved({{"none", Tensor()}}); }, {"undefined", "'none'"});
  expect_throws<ValueError>([] { saved({{"__metadata__", tensor({1})}}); }, {"'__metadata__'"});
  expect_throws<ValueError>([] { saved({{"\xff", tensor({1})}}); }, {"UTF-8"});
  StateDict state;
  state.metadata()["k"] = "\xff";
  expect_throws<ValueError>([&] { saved(state); }, {"UTF-8"});
  std::ostringstream closed;
  closed.setstate(std::ios::badbit);
  expect_throws<halnorm::Error>([&] { halnorm::save({}, closed); }, {"save", "stream"});
  struct Full : std::streambuf {};  // takes nothing
  Full full;
  std::ostream throwing(&full);
  const auto mask = std::ios::badbit | std::ios::failbit;
  throwing.exceptions(mask);
  expect_throws<halnorm::Error>([&] { halnorm::save({}, throwing); }, {"save", "stream"});
  EXPECT_EQ(throwing.exceptions(), mask);
}
