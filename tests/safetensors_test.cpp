#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "halnorm/serialize.h"
#include "module_fixture.h"
#include "support/throws.h"

using fixture::message_of;
using fixture::Names;
using fixture::tensor;
using fixture::values;
using halnorm::DType;
using halnorm::LoadError;
using halnorm::StateDict;
using halnorm::Tensor;
using halnorm::ValueError;

namespace {

/// A file of this header and so many bytes of data.
std::string file_of(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + std::string(data_bytes, '\1');
}

StateDict load_bytes(const std::string& bytes) {
  return halnorm::load(std::as_bytes(std::span(bytes)));
}

std::string saved(const StateDict& state) {
  std::ostringstream stream;
  halnorm::save(state, stream);
  return stream.str();
}

/// {"t": {...}} of one entry.
std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets,
                  const std::string& name = "t") {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":[)" + shape +
         R"(],"data_offsets":[)" + offsets + "]}";
}

struct Hostile {
  const char* name;
  std::string bytes;
  std::vector<std::string> fragments;
};

void PrintTo(const Hostile& file, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << file.name;
}

const std::string full = file_of("{" + entry("F32", "2", "0,8") + "}", 8);

/// A file of these entries and so many bytes of data.
std::string with(const std::string& entries, std::size_t data_bytes) {
  return file_of("{" + entries + "}", data_bytes);
}

std::vector<Hostile> broken_files() {
  return {
      {"Empty", "", {"0 bytes", "8 of the header's length"}},
      {"SevenBytes", full.substr(0, 7), {"7 bytes"}},
      {"CutInHeader", full.substr(0, 20), {"cut off", "wanted at most 12"}},
      {"CutInData", full.substr(0, full.size() - 1), {"'t' at bytes [0, 8)", "within the 7 bytes"}},
      {"HugeHeader",
       std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10),
       {"9223372036854775807 bytes"}},
      {"EmptyHeader", file_of("", 0), {"begin with '{'"}},
      {"NotAnObject", file_of("[1]", 0), {"begin with '{'"}},
      {"NotJson", file_of("{\"t\":", 0), {"is not JSON at byte"}},
      {"TrailingText", file_of("{} x", 0), {"is not JSON"}},
      {"NotUtf8", file_of("{\"\xff\":1}", 0), {"is not JSON"}},
      {"DeeplyNested", file_of("{\"t\":" + std::string(100000, '['), 0), {"an array at 't'"}},
      {"LongName", with("\"" + std::string(100000, 'n') + "\":1", 0), {"nnn...'"}},
  };
}

std::vector<Hostile> broken_headers() {
  return {
      {"EntryIsANumber", with("\"t\":1", 0), {"a number at 't'"}},
      {"EntryIsNull", with("\"t\":null", 0), {"null at 't'"}},
      {"EntryIsAnArray", with("\"t\":[]", 0), {"an array at 't'"}},
      {"EntryIsText", with(R"("t":"F32")", 0), {"a string at 't'"}},
      {"EntryIsABoolean", with("\"t\":true", 0), {"a boolean at 't'"}},
      {"MetadataIsANumber", with(R"("__metadata__":{"a":1})", 0), {"a number at 'a'"}},
      {"MetadataIsNested", with(R"("__metadata__":{"a":{}})", 0), {"an object at 'a'"}},
      {"MetadataTwice", with(R"("__metadata__":{"a":"","a":""})", 0), {"two metadata", "'a'"}},
      {"UnknownField", with(R"("t":{"color":1})", 0), {"field 'color' for 't'"}},
      {"FieldTwice", with(R"("t":{"shape":[],"shape":[]})", 0), {"two fields 'shape' for 't'"}},
      {"NoDType", with(R"("t":{"shape":[2],"data_offsets":[0,8]})", 8), {"no dtype for 't'"}},
      {"NoShape", with(R"("t":{"dtype":"F32","data_offsets":[0,8]})", 8), {"no shape for 't'"}},
      {"NoOffsets", with(R"("t":{"dtype":"F32","shape":[2]})", 8), {"no data_offsets for 't'"}},
      {"DTypeIsANumber", with(R"("t":{"dtype":32})", 0), {"a number at 't'"}},
      {"UnknownDType", with(entry("F8_E4M3", "8", "0,8"), 8), {"dtype 'F8_E4M3'", "wanted F16"}},
  };
}

std::vector<Hostile> broken_shapes() {
  std::string many_ones = "1";
  for (int i = 0; i < 64; ++i) {
    many_ones += ",1";
  }
  return {
      {"ShapeOfText", with(R"("t":{"dtype":"F32","shape":["2"]})", 0), {"a string at 't'"}},
      {"NegativeExtent", with(entry("F32", "-2", "0,8"), 8), {"negative number -2"}},
      {"FractionalExtent", with(entry("F32", "2.5", "0,8"), 8), {"the number 2.5"}},
      {"ExtentTooLarge", with(entry("F32", "18446744073709551615", "0,8"), 8), {"less than 2^63"}},
      {"SizeOverflows", with(entry("F32", "4294967296,4294967296", "0,8"), 8), {"63 bits"}},
      {"EmptyButTooLarge", with(entry("F32", "0,4294967296,4294967296", "0,0"), 0), {"63 bits"}},
      {"TooManyExtents", with(entry("F32", many_ones, "0,4"), 4), {"more than 64 extents"}},
      {"ShapeLargerThanRange", with(entry("F32", "1000000000", "0,8"), 8), {"4000000000 bytes"}},
      {"ShapeSmallerThanRange", with(entry("F32", "1", "0,8"), 8), {"wanted the 4 bytes"}},
  };
}

std::vector<Hostile> broken_offsets() {
  return {
      {"OneOffset", with(entry("F32", "2", "0"), 8), {"1 data_offsets", "wanted two"}},
      {"ThreeOffsets", with(entry("F32", "2", "0,8,9"), 8), {"more than two data_offsets"}},
      {"OffsetsReversed", with(entry("F32", "2", "8,0"), 8), {"[8, 0)"}},
      {"BeyondTheEnd", with(entry("F32", "2", "8,16"), 8), {"[8, 16)", "within the 8 bytes"}},
      {"HugeOffset", with(entry("F32", "2", "0,18446744073709551615"), 8), {"within the 8 bytes"}},
      {"NameTwice",
       with(entry("F32", "1", "0,4") + "," + entry("F32", "1", "4,8"), 8),
       {"two entries 't'"}},
      {"Overlap",
       with(entry("F32", "2", "0,8") + "," + entry("F32", "2", "4,12", "u"), 12),
       {"'u' at bytes [4, 12)", "overlaps"}},
      {"Gap",
       with(entry("F32", "1", "0,4") + "," + entry("F32", "1", "8,12", "u"), 12),
       {"'u' at bytes [8, 12)", "gap"}},
      {"Misaligned",
       with(entry("F16", "1", "0,2") + "," + entry("F32", "1", "2,6", "u"), 6),
       {"'u' at bytes [2, 6)", "alignment"}},
      {"BytesLeftOver", with(entry("F32", "1", "0,4"), 7), {"3 bytes behind the last tensor"}},
  };
}

std::string name_of_hostile(const ::testing::TestParamInfo<Hostile>& tested) {
  return tested.param.name;
}

class HostileFiles : public ::testing::TestWithParam<Hostile> {};

}  // namespace

TEST_P(HostileFiles, AreRefused) {
  const std::string message = message_of<LoadError>([] { load_bytes(GetParam().bytes); });
  EXPECT_TRUE(message.starts_with("load: memory: ")) << message;
  EXPECT_LT(message.size(), 1000U);
  for (const std::string& fragment : GetParam().fragments) {
    EXPECT_NE(message.find(fragment), std::string::npos) << message << " lacks " << fragment;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, HostileFiles, ::testing::ValuesIn(broken_files()), name_of_hostile);
INSTANTIATE_TEST_SUITE_P(Headers, HostileFiles, ::testing::ValuesIn(broken_headers()),
                         name_of_hostile);
INSTANTIATE_TEST_SUITE_P(Shapes, HostileFiles, ::testing::ValuesIn(broken_shapes()),
                         name_of_hostile);
INSTANTIATE_TEST_SUITE_P(Offsets, HostileFiles, ::testing::ValuesIn(broken_offsets()),
                         name_of_hostile);

TEST(Safetensors, EachPrefixIsRefused) {
  for (std::size_t length = 0; length < full.size(); ++length) {
    EXPECT_THROW(load_bytes(full.substr(0, length)), LoadError) << length;
  }
  EXPECT_EQ(load_bytes(full).size(), 1U);
}

TEST(Safetensors, EachFlippedByteLoadsOrIsALoadError) {
  StateDict state = {{"a", tensor({1, 2})}, {"b", Tensor::zeros({}, DType::Int64)}};
  state.metadata()["k"] = "v";
  const std::string whole = saved(state);
  int refused = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char flip : {'\x01', '\x20', '\x80'}) {
      std::string bytes = whole;
      bytes[i] = static_cast<char>(bytes[i] ^ flip);
      try {
        load_bytes(bytes);
      } catch (const LoadError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 100);
}

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
}
