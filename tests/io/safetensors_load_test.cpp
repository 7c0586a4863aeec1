#include <gtest/gtest.h>

#include <cstring>
#include <istream>
#include <ostream>
#include <sstream>
#include <streambuf>
#include <string>
#include <vector>

#include "nn/fixture.h"
#include "support/safetensors.h"
#include "support/throws.h"

/// @file
/// Tests files that the reference implementation accepts, and streams.

using fixture::Names;
using fixture::values;
using halnorm::DType;
using halnorm::LoadError;
using halnorm::StateDict;
using safetensors_file::entry;
using safetensors_file::file_of;
using safetensors_file::load_bytes;
using safetensors_file::with;
using Doubles = std::vector<double>;

namespace {

/// The elements of values, as a file holds them.
template <class T>
std::string bytes_of(const std::vector<T>& elements) {
  std::string bytes(elements.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), elements.data(), bytes.size());
  return bytes;
}

/// A file of one tensor "t".
std::string one(const std::string& dtype, std::size_t count, const std::string& data) {
  return file_of(
             "{" + entry(dtype, std::to_string(count), "0," + std::to_string(data.size())) + "}",
             0) +
         data;
}

struct Taken {
  const char* name;
  std::string bytes;
  Names names = {"t"};
};

void PrintTo(const Taken& file, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << file.name;
}

std::string fields(const std::string& more) {
  return R"("t":{)" + more + R"("dtype":"F32","shape":[2],"data_offsets":[0,8]})";
}

const std::string twice = entry("F64", "7", "0,56") + "," + entry("F32", "2", "0,8");

/// The reference implementation (0.8.0) accepts each of these files.
const std::vector<Taken> taken = {
    {"SpaceBefore", file_of(" \r\n\t{" + fields("") + "}", 8)},
    {"SpaceBehind", file_of("{" + fields("") + "} \n ", 8)},
    {"NoMetadata", with(R"("__metadata__":null,)" + fields(""), 8)},
    {"MetadataLast", with(fields("") + R"(,"__metadata__":{"k":"a"})", 8)},
    {"MetadataKeyTwice", with(R"("__metadata__":{"k":"b","k":"a"},)" + fields(""), 8)},
    {"UnknownField", with(fields(R"("color":1,)"), 8)},
    {"UnknownFields",
     with(fields(R"("x":[1,-2,2.5,1e9,null,true,"s",{"dtype":[{}]}],"y":{"z":{}},"x":{},)"), 8)},
    {"NestedToTheLimit",
     with(fields("\"x\":" + std::string(125, '[') + std::string(125, ']') + ","), 8)},
    {"LargeNumber", with(fields("\"x\":" + std::string(300, '9') + ","), 8)},
    {"OfANameThatIsThereTwiceTheLast", with(twice, 8)},
    {"EscapedNul", with(entry("F32", "2", "0,8", R"(\u0000)"), 8), {std::string(1, '\0')}},
    {"SurrogatePair", with(entry("F32", "2", "0,8", R"(\ud83d\ude00)"), 8), {"\xf0\x9f\x98\x80"}},
    {"EmptyName", with(entry("F32", "2", "0,8", ""), 8), {""}},
    {"Unaligned",
     with(entry("F16", "3", "0,6") + "," + entry("F64", "1", "6,14", "u"), 14),
     {"t", "u"}},
    {"EmptyTensorsAnywhere",
     with(entry("F32", "0", "0,0", "a") + "," + entry("F32", "0", "8,8", "b") + "," + fields(""),
          8),
     {"a", "b", "t"}},
    {"NoTensors", file_of("{}", 0), {}},
};

class TakenFiles : public ::testing::TestWithParam<Taken> {};

/// A buffer that gives a file, then zeros for ever, and counts both.
class Endless : public std::streambuf {
 public:
  explicit Endless(std::string bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::size_t given() const { return given_; }

 protected:
  int_type underflow() override {
    if (given_ == limit) {
      ADD_FAILURE() << "it was read on and on";
      return traits_type::eof();
    }
    byte_ = given_ < bytes_.size() ? bytes_[given_] : '\0';
    ++given_;
    setg(&byte_, &byte_, &byte_ + 1);
    return traits_type::to_int_type(byte_);
  }

 private:
  static constexpr std::size_t limit = 1 << 20;
  std::string bytes_;
  std::size_t given_ = 0;
  char byte_ = '\0';
};

/// Fails as a file on a broken disk does.
class Broken : public std::streambuf {
 protected:
  int_type underflow() override { throw std::runtime_error("the disk is broken"); }
};

}  // namespace

TEST_P(TakenFiles, Load) {
  const StateDict state = load_bytes(GetParam().bytes);
  EXPECT_EQ(state.names(), GetParam().names);
  std::istringstream stream(GetParam().bytes);
  EXPECT_EQ(halnorm::load(stream).names(), GetParam().names);
  if (state.contains("t") && state.at("t").dtype() == DType::Float32) {
    EXPECT_EQ(values(state.at("t")), Doubles(2, 0x1.020202p-125)) << "bytes of 1";
  }
  if (!state.metadata().empty()) {
    EXPECT_EQ(state.metadata().at("k"), "a");
  }
}

INSTANTIATE_TEST_SUITE_P(Files, TakenFiles, ::testing::ValuesIn(taken),
                         [](const auto& file) { return std::string(file.param.name); });

TEST(SafetensorsLoad, IntegersOfAnyWidthBecomeInt64) {
  const auto expect = [](const std::string& dtype, std::size_t count, const std::string& data,
                         const std::vector<std::int64_t>& wanted) {
    const auto tensor = load_bytes(one(dtype, count, data)).at("t");
    EXPECT_EQ(tensor.dtype(), DType::Int64) << dtype;
    EXPECT_EQ(tensor.to_vector<std::int64_t>(), wanted) << dtype;
  };
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  expect("BOOL", 4, bytes_of<std::uint8_t>({0, 1, 1, 255}), {0, 1, 1, 1});
  expect("I8", 3, bytes_of<std::int8_t>({-128, 0, 127}), {-128, 0, 127});
  expect("U8", 3, bytes_of<std::uint8_t>({0, 128, 255}), {0, 128, 255});
  expect("I16", 2, bytes_of<std::int16_t>({-32768, 32767}), {-32768, 32767});
  expect("U16", 2, bytes_of<std::uint16_t>({1, 65535}), {1, 65535});
  expect("I32", 2, bytes_of<std::int32_t>({INT32_MIN, INT32_MAX}), {INT32_MIN, INT32_MAX});
  expect("U32", 2, bytes_of<std::uint32_t>({7, UINT32_MAX}), {7, UINT32_MAX});
  expect("I64", 2, bytes_of<std::int64_t>({-most - 1, most}), {-most - 1, most});
  expect("U64", 2, bytes_of<std::uint64_t>({0, std::uint64_t{most}}), {0, most});
  // These are more elements than one step of the conversion takes, and not a multiple of that.
  std::vector<std::int16_t> many(20001);
  for (std::size_t i = 0; i < many.size(); ++i) {
    many[i] = static_cast<std::int16_t>(i);
  }
  expect("I16", many.size(), bytes_of(many), {many.begin(), many.end()});
}

TEST(SafetensorsLoad, WhatNoDTypeHoldsIsNamedOrSkipped) {
  struct Unsupported {
    std::string dtype, shape;
    std::size_t bytes;
  };
  for (const auto& [dtype, shape, bytes] : {Unsupported{"F4", "3,2", 3},
                                            {"F6_E2M3", "4", 3},
                                            {"F6_E3M2", "4", 3},
                                            {"F8_E4M3", "5", 5},
                                            {"F8_E4M3FNUZ", "5", 5},
                                            {"F8_E5M2", "5", 5},
                                            {"F8_E5M2FNUZ", "5", 5},
                                            {"F8_E8M0", "5", 5},
                                            {"C64", "2", 16},
                                            {"F8_E4M3", "0", 0}}) {
    const std::string end = std::to_string(bytes);
    const std::string file = with(entry(dtype, shape, "0," + end, "odd") + "," +
                                      entry("F32", "1", end + "," + std::to_string(bytes + 4)),
                                  bytes + 4);
    expect_throws<LoadError>([&] { load_bytes(file); },
                             {"'odd'", dtype, "LoadOptions::skip_unsupported"});
    EXPECT_EQ(load_bytes(file, {.skip_unsupported = true}).names(), Names{"t"}) << dtype;
    std::istringstream stream(file);
    EXPECT_EQ(halnorm::load(stream, {.skip_unsupported = true}).names(), Names{"t"}) << dtype;
  }
  const std::string large = one("U64", 2, bytes_of<std::uint64_t>({1, std::uint64_t{1} << 63}));
  expect_throws<LoadError>([&] { load_bytes(large); },
                           {"'t'", "U64", "above 2^63 - 1", "LoadOptions::skip_unsupported"});
  EXPECT_TRUE(load_bytes(large, {.skip_unsupported = true}).empty());
}

TEST(SafetensorsLoad, AnEndlessStreamIsReadNoFurtherThanTheFile) {
  const std::string file = with(entry("F32", "2", "0,8"), 8);
  const std::string huge("\xff\xff\xff\xff\xff\xff\xff\x7f", 8);
  const std::string over_limit("\x01\xe1\xf5\x05\0\0\0\0", 8);  // 100,000,001
  for (const auto& [bytes, read] : {std::pair{file, file.size() + 1},
                                    {file_of("{}", 0), 11},
                                    {huge, 8},
                                    {over_limit, 8},
                                    {std::string(), 8}}) {
    Endless endless(bytes);
    std::istream stream(&endless);
    EXPECT_THROW(halnorm::load(stream), LoadError);
    EXPECT_EQ(endless.given(), read);
  }
}

TEST(SafetensorsLoad, AStreamThatThrowsKeepsItsWishes) {
  const std::string file = with(entry("F32", "2", "0,8"), 8);
  const auto all = std::ios::eofbit | std::ios::failbit | std::ios::badbit;
  for (const auto mask : {all, std::ios::failbit, std::ios::badbit, std::ios::eofbit}) {
    for (const std::size_t length :
         {file.size(), file.size() - 1, std::size_t{9}, std::size_t{0}}) {
      std::istringstream stream(file.substr(0, length));
      stream.exceptions(mask);
      if (length == file.size()) {
        EXPECT_EQ(halnorm::load(stream).names(), Names{"t"});
      } else {
        EXPECT_THROW(halnorm::load(stream), LoadError) << length;
      }
      EXPECT_EQ(stream.exceptions(), mask);
    }
    Broken broken;
    std::istream stream(&broken);
    stream.exceptions(mask);
    expect_throws<LoadError>([&] { halnorm::load(stream); }, {"stream that fails"});
    EXPECT_EQ(stream.exceptions(), mask);
  }
}
