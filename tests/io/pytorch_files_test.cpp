#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "nn/fixture.h"
#include "support/kernel_test.h"
#include "support/python.h"
#include "support/throws.h"
#include "support/tolerance.h"

using fixture::values;
using halnorm::DType;
using halnorm::LoadError;
using halnorm::StateDict;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::Module;
using halnorm::nn::Sequential;

namespace {

namespace fs = std::filesystem;

constexpr std::int64_t channels = 5;

/// The model of this name in fixtures/pytorch_files.py, in the dtype that holds its numbers.
std::shared_ptr<Module> model_of(const std::string& name) {
  using halnorm::nn::BatchNormOptions;
  if (name == "nested") {
    auto inner = std::make_shared<Sequential>();
    inner->emplace<BatchNorm1d>(channels, BatchNormOptions{.affine = false});
    inner->emplace<BatchNorm1d>(channels);
    auto outer = std::make_shared<Sequential>();
    outer->emplace<BatchNorm1d>(channels);
    outer->append(inner);
    return outer;
  }
  BatchNormOptions options;
  options.affine = name != "no_affine" && name != "bare";
  options.track_running_stats = name != "no_tracking" && name != "bare";
  if (name == "cumulative") {
    options.eps = 1e-3;
    options.momentum = std::nullopt;
  }
  auto layer = std::make_shared<BatchNorm1d>(channels, options);
  if (name == "double") {
    layer->to_double();
  }
  return layer;
}

const std::vector<std::string> names = {"default",    "no_affine", "no_tracking", "bare",  "half",
                                        "cumulative", "bfloat16",  "double",      "nested"};

oracle::Values real(const Tensor& tensor, double otherwise) {
  return tensor.defined() ? inputs::real(values(tensor)) : oracle::Values(channels, otherwise);
}

/// The allowed distance of the output from the float64 one, and that of PyTorch's output.
struct Errors {
  double ours = 0;
  double theirs = 0;
};

/// The bound of halnorm is that of tolerance.h. PyTorch computes x * a + (bias - mean * a), a =
/// weight / sqrt(var + eps): four roundings in a, one each in the products and sums, at most eight
/// of the largest term in all, in the model's dtype. A layer multiplies the error of its input by
/// |a|.
Errors errors_of(const Module& model, const Tensor& x, DType dtype, double their_roundoff) {
  Errors errors;
  oracle::Batch batch{x.size(0), channels, x.size(2), values(x)};
  for (const auto& [path, module] : model.named_modules()) {
    const auto* layer = dynamic_cast<const BatchNorm1d*>(module);
    if (layer == nullptr) {
      continue;
    }
    const oracle::Statistics statistics = oracle::statistics(batch);
    const bool tracked = layer->running_mean.defined();
    const oracle::Values mean = tracked ? real(layer->running_mean, 0) : statistics.mean;
    const oracle::Values invstd = tracked
                                      ? oracle::invstd_of(real(layer->running_var, 1), layer->eps())
                                      : statistics.invstd(layer->eps());
    const oracle::Values weight = real(layer->weight.data(), 1);
    const oracle::Values bias = real(layer->bias.data(), 0);
    const oracle::Values y = oracle::normalize(batch, mean, invstd, weight, bias);
    double steepest = 0;
    double term = 0;
    for (std::size_t c = 0; c < mean.size(); ++c) {
      steepest =
          std::max(steepest, static_cast<double>(oracle::magnitude_of(weight[c] * invstd[c])));
      term = std::max({term, static_cast<double>(oracle::magnitude_of(bias[c])),
                       steepest * static_cast<double>(oracle::magnitude_of(mean[c]))});
    }
    term = std::max(term, steepest * largest(inputs::real(batch.values)));
    errors.ours = errors.ours * steepest + tolerance::normalized(dtype, y, mean, invstd, weight);
    errors.theirs = errors.theirs * steepest + 8 * their_roundoff * term;
    batch.values = std::vector<double>(y.begin(), y.end());
  }
  return errors;
}

double roundoff_of(DType dtype) {
  switch (dtype) {
    case DType::Float16:
      return 0x1p-11;
    case DType::BFloat16:
      return 0x1p-8;
    case DType::Float32:
      return 0x1p-24;
    default:
      return 0x1p-53;
  }
}

fs::path fixture_file(const std::string& name) {
  return fs::path(HALNORM_TEST_SOURCE_DIR) / "io" / "fixtures" / name;
}

class PyTorchFiles : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    model = model_of(GetParam());
    state = halnorm::load(fixture_file(GetParam() + ".safetensors"));
    expected = halnorm::load(fixture_file(GetParam() + ".expected.safetensors"));
  }

  std::shared_ptr<Module> model;
  StateDict state, expected;
};

/// The files of a single layer that tracks statistics.
class PyTorchTrackedFiles : public PyTorchFiles {};

}  // namespace

TEST_P(PyTorchFiles, LoadAndPredictTheSame) {
  EXPECT_EQ(model->load_state_dict(state).str(), "<All keys matched successfully>");
  const Tensor& x = expected.at("x");
  const oracle::Values exact = inputs::real(values(expected.at("y64")));
  const oracle::Values theirs = inputs::real(values(expected.at("y")));
  model->eval();
  for (const DType dtype : {DType::Float32, DType::Float64}) {
    if (GetParam() == "double" && dtype == DType::Float32) {
      continue;  // its parameters are no float32 numbers
    }
    model->to(dtype);
    const auto y = values((*model)(x.to(dtype)));
    const Errors errors = errors_of(*model, x, dtype, roundoff_of(x.dtype()));
    expect_near(y, exact, errors.ours, "y of the same parameters in float64");
    expect_near(y, theirs, errors.ours + errors.theirs, "y of PyTorch");
  }
}

TEST_P(PyTorchFiles, KeepEveryBitInAModuleOfTheirDtype) {
  const DType dtype = expected.at("x").dtype();
  model->to(dtype);
  model->load_state_dict(state);
  const StateDict again = model->state_dict();
  EXPECT_EQ(again.size(), state.size());
  for (const auto& [key, tensor] : state) {
    EXPECT_EQ(again.at(key).dtype(), tensor.dtype()) << key;
    EXPECT_EQ(values(again.at(key)), values(tensor)) << key;
  }
}

TEST_P(PyTorchTrackedFiles, TrainingGoesOnWhereItEnded) {
  model->load_state_dict(state);
  model->to_double();
  (*model)(expected.at("x").to(DType::Float64));
  for (const char* name : {"running_mean", "running_var", "num_batches_tracked"}) {
    const oracle::Values want = inputs::real(values(expected.at(name)));
    // Both sides are off by at most the tolerance of a statistic.
    expect_near(values(model->get_buffer(name)), want,
                2 * tolerance::relative(DType::Float64) * largest(want), name);
  }
}

TEST_P(PyTorchFiles, WhatIsSavedHereLoadsThere) {
  model->load_state_dict(state);
  const Tensor x = expected.at("x");
  const DType dtype = x.dtype();
  std::string name = (fs::temp_directory_path() / "halnorm_test_XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const fs::path folder = name;
  const auto file = [&](const char* ending) { return folder / (GetParam() + ending); };
  model->to(dtype);
  halnorm::save(model->state_dict(), file(".safetensors"));
  model->to_double().eval();
  StateDict ours = {{"x", x}, {"y64", (*model)(x.to(DType::Float64))}};
  if (const auto layer = std::dynamic_pointer_cast<BatchNorm1d>(model);
      layer != nullptr && layer->running_mean.defined()) {
    layer->train();
    (*layer)(x.to(DType::Float64));
    for (const auto& [key, buffer] : layer->named_buffers()) {
      ours.set(key, buffer);
    }
  }
  halnorm::save(ours, file(".expected.safetensors"));
  const int status =
      run_python("io/fixtures/pytorch_files.py", {"check", folder.string(), GetParam()});
  fs::remove_all(folder);
  if (status == 77) {
    GTEST_SKIP() << "PyTorch was not asked: " HALNORM_TEST_PYTHON " has no torch";
  }
  EXPECT_EQ(status, 0);
}

INSTANTIATE_TEST_SUITE_P(Models, PyTorchTrackedFiles,
                         ::testing::Values("default", "no_affine", "half", "cumulative", "bfloat16",
                                           "double"),
                         [](const auto& param) { return param.param; });
INSTANTIATE_TEST_SUITE_P(Models, PyTorchFiles, ::testing::ValuesIn(names),
                         [](const auto& param) { return param.param; });

TEST(PyTorchFile, OfAnotherConfigurationIsRefused) {
  BatchNorm1d bare(channels, {.affine = false});
  expect_throws<LoadError>(
      [&] { bare.load_state_dict(halnorm::load(fixture_file("default.safetensors"))); },
      {"Error(s) in loading state_dict for BatchNorm1d:", "Unexpected key(s)", "\"bias\"",
       "\"weight\""});
  EXPECT_EQ(bare.num_batches_tracked.item<std::int64_t>(), 0);
}
