#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>
#include <ostream>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "halnorm/halnorm.h"

/// @file
/// The load of a file takes at most 32 times its size plus 1 MiB of memory, as serialize.h
/// promises.

namespace {
std::atomic<std::size_t> in_use{0};
std::atomic<std::size_t> most{0};

void* counted(std::size_t bytes) noexcept {
  void* memory = std::malloc(bytes);
  if (memory != nullptr) {
    const std::size_t now = in_use += ::malloc_usable_size(memory);
    std::size_t before = most.load();
    while (before < now && !most.compare_exchange_weak(before, now)) {
    }
  }
  return memory;
}

void* counted_or_throw(std::size_t bytes) {
  void* memory = counted(bytes);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}

void release(void* memory) noexcept {
  if (memory != nullptr) {
    in_use -= ::malloc_usable_size(memory);
    std::free(memory);
  }
}
}  // namespace

void* operator new(std::size_t bytes) { return counted_or_throw(bytes); }
void* operator new[](std::size_t bytes) { return counted_or_throw(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return counted(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return counted(bytes); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { release(memory); }

namespace {

namespace fs = std::filesystem;

std::string file_of(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + std::string(data_bytes, '\1');
}

constexpr std::size_t many = (1 << 16) + 1;  // where a vector that doubles has just grown

/// The shortest name that no smaller number has.
std::string name_of(std::size_t number) {
  constexpr std::size_t letters = 90;
  std::string name;
  do {
    const char letter = static_cast<char>('#' + number % letters);
    name += letter == '\\' ? '!' : letter;
    number /= letters;
  } while (number > 0);
  return name;
}

/// Tensors of one shape, one after the other, in the shortest possible header.
std::string tensors(std::size_t count, const std::string& dtype, const std::string& shape,
                    std::size_t bytes) {
  std::string header = "{";
  for (std::size_t i = 0; i < count; ++i) {
    header += (i == 0 ? "\"" : ",\"") + name_of(i) + R"(":{"dtype":")" + dtype + R"(","shape":[)" +
              shape + R"(],"data_offsets":[)" + std::to_string(i * bytes) + "," +
              std::to_string((i + 1) * bytes) + "]}";
  }
  return file_of(header + "}", count * bytes);
}

std::string ones(std::size_t count) {
  std::string shape = "1";
  while (--count > 0) {
    shape += ",1";
  }
  return shape;
}

std::string metadata() {
  std::string header = R"({"__metadata__":{"#":"")";
  for (std::size_t i = 1; i < many; ++i) {
    header += ",\"" + name_of(i) + R"(":"")";
  }
  return file_of(header + "}}", 0);
}

struct Case {
  const char* name;
  std::string (*bytes)();
};

/// Files that take much memory per byte, and files that are refused late.
const std::vector<Case> cases = {
    {"EmptyTensors", [] { return tensors(many, "U8", "0", 0); }},
    {"Scalars", [] { return tensors(many, "F16", "", 2); }},
    {"Bytes", [] { return tensors(many, "I8", "1", 1); }},
    {"FewAxes", [] { return tensors(many, "U8", "0,0,0,0,0", 0); }},
    {"ManyAxes", [] { return tensors(many / 4, "U8", ones(33), 1); }},
    {"MostAxes", [] { return tensors(many / 4, "U8", ones(64), 1); }},
    {"Metadata", &metadata},
    {"OneOfBytes", [] { return tensors(1, "BOOL", "2000000", 2000000); }},
    {"OneOfFloats", [] { return tensors(1, "F32", "500000", 2000000); }},
    {"OneLongName", [] { return file_of("{\"" + std::string(2000000, 'n') + "\":1}", 0); }},
    {"OneLongNumber",
     [] { return file_of(R"({"t":{"x":)" + std::string(2000000, '9') + "}}", 0); }},
    {"Unsupported", [] { return tensors(many, "F4", "0", 0); }},
    {"CutOff",
     [] {
       std::string bytes = tensors(many, "F32", "1", 4);
       bytes.pop_back();
       return bytes;
     }},
    {"Nothing", [] { return file_of("{}", 0); }},
    {"HugeHeader", [] { return std::string("\x00\xe1\xf5\x05\0\0\0\0{\"", 10); }},
    {"HugeTensor",
     [] {
       return file_of(R"({"t":{"dtype":"U8","shape":[200000000000],)"
                      R"("data_offsets":[0,200000000000]}})",
                      0);
     }},
};

void PrintTo(const Case& one, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << one.name;
}

class LoadMemory : public ::testing::TestWithParam<Case> {
 protected:
  const std::string bytes = GetParam().bytes();

  /// The most memory that a load takes, whether it succeeds or not.
  template <class Load>
  void expect_bounded(Load load) const {
    const std::size_t before = in_use.load();
    most.store(before);
    try {
      load();
    } catch (const halnorm::LoadError& error) {
      EXPECT_LT(std::string(error.what()).size(), 1000U);
    }
    const std::size_t taken = most.load() - before;
    EXPECT_LE(taken, 32 * bytes.size() + (1 << 20));
    RecordProperty("times_its_size",
                   std::to_string(static_cast<double>(taken) / static_cast<double>(bytes.size())));
  }
};

TEST_P(LoadMemory, FromMemory) {
  expect_bounded([&] { return halnorm::load(std::as_bytes(std::span(bytes))); });
}

TEST_P(LoadMemory, FromAStream) {
  std::istringstream stream(bytes);
  expect_bounded([&] { return halnorm::load(stream); });
}

TEST_P(LoadMemory, FromAFile) {
  std::string name = (fs::temp_directory_path() / "halnorm_test_XXXXXX").string();
  const int file = ::mkstemp(name.data());
  ASSERT_GE(file, 0);
  std::ofstream(name, std::ios::binary) << bytes;
  expect_bounded([&] { return halnorm::load(fs::path(name)); });
  fs::remove(name);
}

INSTANTIATE_TEST_SUITE_P(Files, LoadMemory, ::testing::ValuesIn(cases),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
