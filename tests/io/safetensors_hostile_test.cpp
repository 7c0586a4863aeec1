#include <gtest/gtest.h>

#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "nn/fixture.h"
#include "support/safetensors.h"

/// @file
/// Files that the format does not allow, each with words that its error must contain.

using fixture::message_of;
using fixture::tensor;
using halnorm::DType;
using halnorm::LoadError;
using halnorm::StateDict;
using halnorm::Tensor;
using safetensors_file::entry;
using safetensors_file::file_of;
using safetensors_file::load_bytes;
using safetensors_file::saved;
using safetensors_file::with;

namespace {

struct Hostile {
  const char* name;
  std::string bytes;
  std::vector<std::string> fragments;
};

void PrintTo(const Hostile& file, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << file.name;
}

const std::string full = with(entry("F32", "2", "0,8"), 8);

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
      {"TrailingNul", file_of(std::string("{}\0", 3), 0), {"is not JSON at byte 2", "NUL"}},
      {"TextBehindANul", file_of(std::string("{}\0{", 4), 0), {"is not JSON at byte 2", "NUL"}},
      {"NulInAName", with(std::string("\"\0\":1", 5), 0), {"is not JSON at byte 2", "NUL"}},
      {"ByteOrderMark", file_of("\xef\xbb\xbf{}", 0), {"begin with '{'"}},
      {"LoneSurrogate", with(R"("\ud800":1)", 0), {"is not JSON"}},
      {"Overlong", with("\"\xc0\x80\":1", 0), {"is not JSON"}},
      {"NotUtf8", file_of("{\"\xff\":1}", 0), {"is not JSON"}},
      {"TooDeep",
       with(R"("t":{"x":)" + std::string(126, '[') + std::string(126, ']') + "}", 0),
       {"more than 127 objects and arrays at 't'"}},
      {"NumberTooLarge", with(R"("t":{"x":1e400})", 0), {"is not JSON"}},
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
      {"MetadataTwice",
       with(R"("__metadata__":null,"__metadata__":{})", 0),
       {"two entries '__metadata__'"}},
      {"MetadataIsATensor", with(entry("F32", "2", "0,8", "__metadata__"), 8), {"an array at"}},
      {"EntryIsAnArrayOfFields", with(R"("t":["F32",[2],[0,8]])", 8), {"an array at 't'"}},
      {"DTypeIsAnObject",
       with(R"("t":{"dtype":{"F32":null},"shape":[2],"data_offsets":[0,8]})", 8),
       {"an object at 't'"}},
      {"FieldTwice", with(R"("t":{"shape":[],"shape":[]})", 0), {"two fields 'shape' for 't'"}},
      {"NulInTheName", with(R"("a\u0000b":1)", 0), {R"(a number at 'a\0b')"}},
      {"NoDType", with(R"("t":{"shape":[2],"data_offsets":[0,8]})", 8), {"no dtype for 't'"}},
      {"NoShape", with(R"("t":{"dtype":"F32","data_offsets":[0,8]})", 8), {"no shape for 't'"}},
      {"NoOffsets", with(R"("t":{"dtype":"F32","shape":[2]})", 8), {"no data_offsets for 't'"}},
      {"DTypeIsANumber", with(R"("t":{"dtype":32})", 0), {"a number at 't'"}},
      {"UnknownDType", with(entry("Q8", "8", "0,8"), 8), {"dtype 'Q8' for 't'", "wanted one of"}},
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
      {"SizeOverflows", with(entry("F32", "4294967296,4294967296", "0,8"), 8), {"below 2^61"}},
      {"EmptyButTooLarge", with(entry("F32", "0,4294967296,4294967296", "0,0"), 0), {"63 bits"}},
      {"TooManyExtents", with(entry("F32", many_ones, "0,4"), 4), {"more than 64 extents"}},
      {"HalfAByte", with(entry("F4", "1", "0,1"), 1), {"whole number of bytes", "F4"}},
      {"TwoToThe64Bits", with(entry("F64", "288230376151711744", "0,8"), 8), {"whole number"}},
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
      {"OfANameThatIsThereTwiceTheLastCounts",
       with(entry("F32", "1", "0,4") + "," + entry("F32", "1", "4,8"), 8),
       {"'t' at bytes [4, 8)", "gap"}},
      {"Overlap",
       with(entry("F32", "2", "0,8") + "," + entry("F32", "2", "4,12", "u"), 12),
       {"'u' at bytes [4, 12)", "overlaps"}},
      {"Gap",
       with(entry("F32", "1", "0,4") + "," + entry("F32", "1", "8,12", "u"), 12),
       {"'u' at bytes [8, 12)", "gap"}},
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

/// The same files from a stream, which does not know its size.
TEST_P(HostileFiles, AreRefusedFromAStream) {
  std::istringstream stream(GetParam().bytes);
  const std::string message = message_of<LoadError>([&] { halnorm::load(stream); });
  EXPECT_TRUE(message.starts_with("load: stream: ")) << message;
  EXPECT_LT(message.size(), 1000U);
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
