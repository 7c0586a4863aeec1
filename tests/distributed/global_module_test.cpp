#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "distributed/ranks.h"
#include "halnorm/halnorm.h"
#include "support/temporary_folder.h"
#include "support/throws.h"

namespace {

using halnorm::DType;
using halnorm::Parameter;
using halnorm::Placement;
using halnorm::Sbp;
using halnorm::Tensor;
using halnorm::ValueError;
namespace nn = halnorm::nn;

std::vector<double> values(const Tensor& tensor) { return tensor.to_vector<double>(); }

/// Values that differ from rank to rank.
void fill_by_rank(nn::BatchNorm1d& layer, const Placement& placement) {
  const double rank = ranks::rank(placement);
  layer.weight.data().fill_(10 + rank);
  layer.running_var.fill_(20 + rank);
  layer.num_batches_tracked.fill_(30 + rank);
}

TEST(GlobalModule, HasRankZerosValuesInTheSameObjects) {
  ranks::run(3, [](const Placement& placement) {
    nn::BatchNorm1d layer(2);
    fill_by_rank(layer, placement);
    layer.bias.set_requires_grad(false);
    layer.weight.set_grad(Tensor::full({2}, ranks::rank(placement)));
    const Tensor weight = layer.weight.data();
    const Parameter parameter = layer.weight;
    int calls = 0;
    auto hook = layer.register_forward_hook([&](nn::Module&, const Tensor&, const Tensor&) {
      ++calls;
      return Tensor();
    });
    EXPECT_EQ(&layer.to_global(placement, Sbp::broadcast()), &layer);
    EXPECT_EQ(values(layer.weight.data()), (std::vector<double>{10, 10}));
    EXPECT_EQ(values(layer.running_var), (std::vector<double>{20, 20}));
    EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 30);
    EXPECT_EQ(values(layer.weight.grad()), (std::vector<double>{0, 0})) << "gradients are kept";
    EXPECT_TRUE(layer.weight.grad().is_global());
    EXPECT_TRUE(layer.weight.is_same(parameter));
    EXPECT_TRUE(weight.is_global()) << "handles on a tensor show what it became";
    EXPECT_TRUE(layer.weight.requires_grad());
    EXPECT_FALSE(layer.bias.requires_grad());
    layer(ranks::split_rows(ranks::normal({6, 2}, 1), {3, 0, 3}, placement));
    EXPECT_EQ(calls, 1);
  });
}

TEST(GlobalModule, TiedTensorsStayTied) {
  ranks::run(2, [](const Placement& placement) {
    auto a = std::make_shared<nn::BatchNorm1d>(2);
    auto b = std::make_shared<nn::BatchNorm1d>(2);
    b->weight = a->weight;
    b->running_mean = a->running_mean;
    nn::Sequential net({a, b, a});
    net.to_global(placement, Sbp::broadcast());
    EXPECT_TRUE(b->weight.is_same(a->weight));
    EXPECT_TRUE(b->running_mean.is_same(a->running_mean));
    EXPECT_FALSE(b->bias.is_same(a->bias));
    const Tensor x = ranks::split_rows(ranks::normal({6, 2}, 1), {3, 3}, placement);
    EXPECT_EQ(net(x).sbp(), Sbp::split(0));
    EXPECT_EQ(net.backward(x).sbp(), Sbp::split(0));
  });
}

TEST(GlobalModule, RefusesWhatTheSpecificationRefuses) {
  ranks::run(2, [](const Placement& placement) {
    nn::BatchNorm1d layer(2);
    fill_by_rank(layer, placement);
    for (const Sbp sbp : {Sbp::split(0), Sbp::split(1), Sbp::partial_sum()}) {
      expect_throws<ValueError>([&] { layer.to_global(placement, sbp); },
                                {sbp.str(), "wanted broadcast"});
    }
    const std::string both =
        "Converting a local tensor to global tensor must have placement and sbp parameters.";
    expect_throws<halnorm::Error>([&] { layer.to_global(); }, {both});
    expect_throws<halnorm::Error>([&] { layer.to_global(placement); }, {both});
    expect_throws<halnorm::Error>([&] { layer.to_global({}, Sbp::broadcast()); }, {both});
    expect_throws<halnorm::Error>([&] { layer.to_local(); }, {"but got local tensor!"});
    expect_throws<halnorm::Error>([&] { layer.to_consistent(placement, Sbp::broadcast()); },
                                  {".to_consistent has been removed, please use .to_global"});
    EXPECT_FALSE(layer.weight.data().is_global());
    EXPECT_EQ(values(layer.weight.data())[0], 10 + ranks::rank(placement)) << "nothing changed";
    layer.to_global(placement, Sbp::broadcast());
    EXPECT_NO_THROW(layer.to_global());
    EXPECT_NO_THROW(layer.to_global(placement));
    expect_throws<ValueError>([&] { layer.to_global({}, Sbp::split(0)); }, {"wanted broadcast"});
  });
}

TEST(GlobalModule, ModulesThatDifferAreAnErrorOnAllRanks) {
  ranks::run(2, [](const Placement& placement) {
    const bool other = ranks::rank(placement) == 1;
    nn::BatchNorm1d channels(other ? 4 : 3);
    expect_throws<ValueError>([&] { channels.to_global(placement, Sbp::broadcast()); },
                              {"BatchNorm1d(4,", "rank 1", "BatchNorm1d(3,", "rank 0"});
    nn::BatchNorm1d gradient(3);
    if (other) {
      gradient.weight.set_grad(Tensor::ones({3}));
    }
    expect_throws<ValueError>([&] { gradient.to_global(placement, Sbp::broadcast()); },
                              {"parameter 'weight'", "has grad", "has no grad"});
    EXPECT_FALSE(gradient.bias.data().is_global());
    nn::BatchNorm1d affine(3, {.affine = other});
    expect_throws<ValueError>([&] { affine.to_global(placement, Sbp::broadcast()); },
                              {"affine=True", "affine=False"});
  });
}

TEST(GlobalModule, ToLocalIsTheWayBack) {
  ranks::run(2, [](const Placement& placement) {
    nn::BatchNorm1d layer(2);
    fill_by_rank(layer, placement);
    layer.to_global(placement, Sbp::broadcast());
    layer(ranks::split_rows(ranks::normal({6, 2}, 1), {3, 3}, placement));
    layer.to_local();
    EXPECT_FALSE(layer.weight.data().is_global());
    EXPECT_FALSE(layer.num_batches_tracked.is_global());
    EXPECT_EQ(values(layer.weight.data()), (std::vector<double>{10, 10}));
    const Tensor x = ranks::normal({6, 2}, 1);
    EXPECT_THROW(layer.backward(x), ValueError) << "the forward was a global one";
    layer.clear_saved_forwards();
    EXPECT_NO_THROW(layer(x));
    EXPECT_NO_THROW(layer.backward(x));
  });
}

TEST(GlobalModule, ConversionsAndCopiesStayGlobal) {
  ranks::run(2, [](const Placement& placement) {
    nn::BatchNorm1d layer(2);
    layer.to_global(placement, Sbp::broadcast()).to_double();
    EXPECT_TRUE(layer.weight.data().is_global());
    EXPECT_EQ(layer.weight.data().dtype(), DType::Float64);
    layer.reset_parameters();
    const auto copy = std::dynamic_pointer_cast<nn::BatchNorm1d>(layer.clone());
    EXPECT_TRUE(copy->running_mean.is_global());
    const Tensor x = ranks::normal({6, 2}, 1, 0, DType::Float64);
    EXPECT_NO_THROW((*copy)(ranks::split_rows(x, {2, 4}, placement)));
    EXPECT_EQ(values(layer.running_mean), (std::vector<double>{0, 0}));
  });
}

TEST(GlobalModule, StateIsTheSameOnEachRankAndKnowsItsKind) {
  std::vector<std::vector<double>> seen(2);
  ranks::run(2, [&](const Placement& placement) {
    nn::BatchNorm1d layer(2);
    layer.to_global(placement, Sbp::broadcast());
    layer(ranks::split_rows(ranks::normal({6, 2}, 1), {1, 5}, placement));
    const halnorm::StateDict state = layer.state_dict();
    for (const auto& [name, tensor] : state) {
      EXPECT_TRUE(tensor.is_global()) << name;
      const auto of_tensor = values(tensor);
      auto& all = seen[static_cast<std::size_t>(ranks::rank(placement))];
      all.insert(all.end(), of_tensor.begin(), of_tensor.end());
    }
    nn::BatchNorm1d local(2);
    expect_throws<halnorm::LoadError>(
        [&] { local.load_state_dict(state); },
        {"local / global mismatch for \"weight\":  param from checkpoint is global tensor, but the "
         "param in current model is local tensor. Maybe you need to convert your model to "
         "global."});
    expect_throws<halnorm::LoadError>([&] { layer.load_state_dict(local.state_dict()); },
                                      {"param from checkpoint is local tensor"});
    EXPECT_NO_THROW(layer.load_state_dict(state));
  });
  EXPECT_EQ(seen[0], seen[1]);
}

class GlobalModuleFile : public TemporaryFolder {};

TEST_F(GlobalModuleFile, IsWrittenOnceAndReadByAnyNumberOfRanks) {
  const auto path = folder / "layer.safetensors";
  ranks::run(2, [&](const Placement& placement) {
    nn::BatchNorm1d layer(2);
    fill_by_rank(layer, placement);
    layer.to_global(placement, Sbp::broadcast());
    // On rank 1 the folder of the path does not exist, because this rank does not write.
    const auto own = ranks::rank(placement) == 0 ? path : folder / "none" / "x";
    halnorm::save(layer.state_dict(), own);
    EXPECT_TRUE(std::filesystem::exists(path)) << "on every rank when save() returns";
    const auto bad = folder / "none" / "x";
    const auto text = ranks::message_of([&] { halnorm::save(layer.state_dict(), bad); });
    EXPECT_FALSE(text.empty()) << "all ranks learn that rank 0 could not write";
  });
  for (const int count : {1, 3}) {
    ranks::run(count, [&](const Placement& placement) {
      nn::BatchNorm1d layer(2);
      layer.to_global(placement, Sbp::broadcast());
      std::ifstream stream(path, std::ios::binary);
      layer.load(stream);
      EXPECT_EQ(values(layer.weight.data()), (std::vector<double>{10, 10}));
      EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 30);
      EXPECT_TRUE(layer.weight.data().is_global());
    });
  }
}

TEST(GlobalModule, ErrorsNameThePathOfTheLayer) {
  ranks::run(2, [](const Placement& placement) {
    nn::Sequential net(
        {std::make_shared<nn::BatchNorm1d>(2), std::make_shared<nn::BatchNorm1d>(3)});
    net.to_global(placement, Sbp::broadcast());
    const Tensor x = ranks::split_rows(ranks::normal({6, 2}, 1), {3, 3}, placement);
    expect_throws<halnorm::ShapeError>([&] { net(x); }, {"1: ", "3 channels"});
  });
}

}  // namespace
