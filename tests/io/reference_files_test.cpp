#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "nn/fixture.h"

/// @file
/// Tests files of another program, fixtures/reference_files.py.

using fixture::values;
using halnorm::DType;
using halnorm::StateDict;
using Doubles = std::vector<double>;
using Integers = std::vector<std::int64_t>;

namespace {

StateDict reference_file(const std::string& name) {
  return halnorm::load(std::filesystem::path(HALNORM_TEST_SOURCE_DIR) / "io" / "fixtures" / name);
}

Integers integers(const StateDict& state, const std::string& name) {
  EXPECT_EQ(state.at(name).dtype(), DType::Int64) << name;
  return state.at(name).to_vector<std::int64_t>();
}

}  // namespace

TEST(ReferenceFiles, TheBatchNormBesideQuantizers) {
  const StateDict state = reference_file("qat_conv_bn.safetensors");
  EXPECT_EQ(state.size(), 20U);
  EXPECT_EQ(state.metadata().at("format"), "pt");
  EXPECT_EQ(integers(state, "activation_post_process.zero_point"), Integers{47});
  EXPECT_EQ(integers(state, "weight_fake_quant.zero_point"), Integers{0});
  EXPECT_EQ(integers(state, "weight_fake_quant.fake_quant_enabled"), Integers{1});
  EXPECT_EQ(values(state.at("weight")), (Doubles{0, 1, 2, 3, 4, 5}));
  halnorm::nn::Sequential net;
  const auto layer = std::make_shared<halnorm::nn::BatchNorm1d>(3);
  net.add_module("bn", layer);
  const auto result = net.load_state_dict(state, false);
  EXPECT_TRUE(result.missing_keys.empty());
  EXPECT_EQ(result.unexpected_keys.size(), 15U);
  EXPECT_EQ(values(layer->weight.data()), (Doubles{1.5, -2, 0.25}));
  EXPECT_EQ(values(layer->bias.data()), (Doubles{0, 1, 2}));
  EXPECT_EQ(values(layer->running_mean), (Doubles{10, 20, 30}));
  EXPECT_EQ(values(layer->running_var), (Doubles{1, 4, 9}));
  EXPECT_EQ(layer->num_batches_tracked.item<std::int64_t>(), 42);
}

TEST(ReferenceFiles, ElementsNeedNoAlignment) {
  const StateDict state = reference_file("in_order.safetensors");
  constexpr auto least = std::numeric_limits<std::int64_t>::min();
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(state.metadata().at("note"), "caf\u00e9");
  EXPECT_EQ(state.names().front(), "half") << "the order is the header's";
  EXPECT_EQ(state.at("half").dtype(), DType::Float16);
  EXPECT_EQ(values(state.at("half")), (Doubles{1, -2, 0.5}));
  EXPECT_EQ(state.at("single").dtype(), DType::Float32);
  EXPECT_EQ(state.at("single").shape(), (halnorm::Shape{2, 1}));
  EXPECT_EQ(values(state.at("single")), (Doubles{3, -0.25}));
  EXPECT_EQ(state.at("double").dtype(), DType::Float64);
  EXPECT_EQ(values(state.at("double")), Doubles{0.1});
  EXPECT_EQ(integers(state, "flags"), (Integers{1, 0, 1}));
  EXPECT_EQ(integers(state, "bytes"), (Integers{0, 128, 255}));
  EXPECT_EQ(integers(state, "int64"), (Integers{least, most}));
  EXPECT_EQ(state.at("signed").shape(), (halnorm::Shape{1, 2}));
  EXPECT_EQ(integers(state, "signed"), (Integers{-128, 127}));
  EXPECT_EQ(integers(state, "uint64"), Integers{most});
  EXPECT_EQ(integers(state, "int16"), (Integers{-32768, 32767}));
  EXPECT_EQ(state.at("lone").item<std::int64_t>(), 7);
  EXPECT_EQ(integers(state, "uint16"), Integers{65535});
  EXPECT_EQ(integers(state, "int32"), (Integers{INT32_MIN, INT32_MAX}));
  EXPECT_EQ(integers(state, "uint32"), Integers{UINT32_MAX});
  EXPECT_EQ(state.at("empty").shape(), (halnorm::Shape{2, 0}));
}
