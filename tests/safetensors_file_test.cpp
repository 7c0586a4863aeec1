#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "module_fixture.h"
#include "support/python.h"
#include "support/throws.h"

using fixture::tensor;
using fixture::values;
using halnorm::DType;
using halnorm::Error;
using halnorm::LoadError;
using halnorm::StateDict;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;

namespace {

namespace fs = std::filesystem;

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A folder of the test's own.
class SafetensorsFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "halnorm_test_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { fs::remove_all(folder); }

  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  }

  fs::path folder;
};

/// In a child process, so that the limit holds for nothing else: saves more than a file may hold.
/// With `die`, the signal that comes then ends the process in the middle of the write.
int save_in_child(const fs::path& path, bool die) {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit size{4096, 4096};
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_FSIZE, &size);
    ::setrlimit(RLIMIT_CORE, &no_core);
    std::signal(SIGXFSZ, die ? SIG_DFL : SIG_IGN);
    try {
      halnorm::save({{"large", Tensor::zeros({100000})}}, path);
    } catch (const Error&) {
      ::_exit(7);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

}  // namespace

TEST_F(SafetensorsFile, RoundTrip) {
  BatchNorm1d layer(3);
  layer(Tensor::randn({4, 3}, 1));
  const fs::path path = folder / "model.safetensors";
  halnorm::save(layer.state_dict(), path);
  BatchNorm1d loaded(3);
  loaded.load_state_dict(halnorm::load(path));
  EXPECT_EQ(values(loaded.running_var), values(layer.running_var));
  EXPECT_EQ(loaded.num_batches_tracked.item<std::int64_t>(), 1);
  EXPECT_EQ(halnorm::load(path).version(""), 2);
  EXPECT_EQ(files(), 1U) << "nothing is left beside it";
}

TEST_F(SafetensorsFile, AFailedSaveLeavesTheOldFile) {
  const fs::path path = folder / "model.safetensors";
  halnorm::save({{"a", tensor({1})}}, path);
  const std::string before = bytes_of(path);
  expect_throws<halnorm::ValueError>([&] { halnorm::save({{"b", Tensor()}}, path); }, {"'b'"});
  const int status = save_in_child(path, false);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << "an Error came out";
  EXPECT_EQ(bytes_of(path), before);
  EXPECT_EQ(files(), 1U) << "the temporary file is gone";
}

TEST_F(SafetensorsFile, AnInterruptedSaveLeavesTheOldFile) {
  const fs::path path = folder / "model.safetensors";
  halnorm::save({{"a", tensor({1})}}, path);
  const std::string before = bytes_of(path);
  const int status = save_in_child(path, true);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
  EXPECT_EQ(bytes_of(path), before);
  halnorm::save({{"a", tensor({2})}}, path);
  EXPECT_EQ(values(halnorm::load(path).at("a")), std::vector<double>{2});
}

TEST_F(SafetensorsFile, ErrorsNameTheFile) {
  const fs::path missing = folder / "missing" / "model.safetensors";
  expect_throws<LoadError>([&] { halnorm::load(missing); }, {missing.string(), "no such file"});
  expect_throws<LoadError>([&] { halnorm::load(folder); }, {folder.string(), "regular file"});
  expect_throws<Error>([&] { halnorm::save({}, missing); }, {missing.string(), "open"});
  expect_throws<Error>([&] { halnorm::save({}, folder); }, {folder.string(), "directory"});
  std::ofstream(folder / "short") << "1234567";
  expect_throws<LoadError>([&] { halnorm::load(folder / "short"); }, {"short", "7 bytes"});
}

TEST_F(SafetensorsFile, ASymbolicLinkStaysOne) {
  const fs::path file = folder / "file";
  const fs::path link = folder / "link";
  halnorm::save({{"a", tensor({1})}}, file);
  fs::create_symlink("file", link);
  halnorm::save({{"a", tensor({2})}}, link);
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(values(halnorm::load(file).at("a")), std::vector<double>{2});
}

TEST_F(SafetensorsFile, PythonReadsWhatIsWrittenHere) {
  const fs::path path = folder / "from_here.safetensors";
  BatchNorm1d layer(3);
  layer.weight.data().copy_(tensor({1.5, -2, 0.25}));
  layer.running_mean.copy_(tensor({10, 20, 30}));
  *layer.num_batches_tracked.data<std::int64_t>() = 42;
  StateDict state = layer.state_dict();
  state.set("half", tensor({1, 0.5}).to(DType::Float16));
  state.set("double", Tensor::full({2, 1}, 0.1, DType::Float64));
  state.set("empty", Tensor::zeros({0, 3}));
  state.set("strided", tensor({1, 2, 3, 4, 5, 6}, {2, 3}).transpose(0, 1));
  state.set("caf\u00e9", tensor({7}));
  halnorm::save(state, path);
  EXPECT_EQ(run_python("safetensors_interop.py", {"check", path}), 0);
}

TEST_F(SafetensorsFile, WhatPythonWritesLoadsHere) {
  const fs::path path = folder / "from_python.safetensors";
  ASSERT_EQ(run_python("safetensors_interop.py", {"write", path}), 0);
  const StateDict state = halnorm::load(path);
  EXPECT_EQ(state.metadata().at("format"), "pt");
  BatchNorm1d layer(3);
  EXPECT_EQ(layer.load_state_dict(state).str(), "<All keys matched successfully>");
  EXPECT_EQ(values(layer.weight.data()), (std::vector<double>{1.5, -2, 0.25}));
  EXPECT_EQ(values(layer.bias.data()), (std::vector<double>{0, 1, 2}));
  EXPECT_EQ(values(layer.running_mean), (std::vector<double>{10, 20, 30}));
  EXPECT_EQ(values(layer.running_var), (std::vector<double>{1, 4, 9}));
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 42);
}
