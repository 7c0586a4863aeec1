#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "nn/fixture.h"
#include "support/python.h"
#include "support/temporary_folder.h"
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

class SafetensorsFile : public TemporaryFolder {};

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

TEST_F(SafetensorsFile, ErrorsNameTheFile) {
  const fs::path missing = folder / "missing" / "model.safetensors";
  expect_throws<LoadError>([&] { halnorm::load(missing); }, {missing.string(), "no such file"});
  expect_throws<LoadError>([&] { halnorm::load(folder); }, {folder.string(), "regular file"});
  expect_throws<Error>([&] { halnorm::save({}, missing); }, {missing.string(), "open"});
  expect_throws<Error>([&] { halnorm::save({}, folder); }, {folder.string(), "directory"});
  std::ofstream(folder / "short") << "1234567";
  expect_throws<LoadError>([&] { halnorm::load(folder / "short"); }, {"short", "7 bytes"});
  const std::string with_nul = (folder / "short").string() + std::string("\0.x", 3);
  expect_throws<LoadError>([&] { halnorm::load(fs::path(with_nul)); }, {"short", "NUL"});
  expect_throws<LoadError>([&] { halnorm::load(fs::path()); }, {"no such file"});
  fs::create_symlink("loop", folder / "loop");
  expect_throws<LoadError>([&] { halnorm::load(folder / "loop"); }, {"loop", "symbolic links"});
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
  EXPECT_EQ(run_python("io/safetensors_interop.py", {"check", path}), 0);
}

TEST_F(SafetensorsFile, WhatPythonWritesLoadsHere) {
  const fs::path path = folder / "from_python.safetensors";
  ASSERT_EQ(run_python("io/safetensors_interop.py", {"write", path}), 0);
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
