#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "halnorm/halnorm.h"
#include "support/failing_calls.h"

/// @file
/// Members of modules that change several tensors run with every allocation failing once: all of
/// the tensors change, or none does.

using failing_memory::Bits;
using failing_memory::fail_at_each_allocation;
using failing_memory::keep;
using halnorm::DType;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;

namespace {

using Layers = std::vector<std::shared_ptr<halnorm::nn::Module>>;

/// Several layers with all their tensors. The traversal of a buffer with many axes needs memory.
struct Tree {
  halnorm::nn::Sequential net{Layers{std::make_shared<BatchNorm1d>(5),
                                     std::make_shared<BatchNorm1d>(5),
                                     std::make_shared<BatchNorm1d>(5)}};
  Tensor many_axes = net.register_buffer(
      "axes", Tensor::randn({2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3}, 9).transpose(0, 11));

  Tree() {
    std::uint64_t seed = 0;
    for (const auto& parameter : net.parameters()) {
      parameter.data().copy_(Tensor::randn({5}, ++seed));
      parameter.set_grad(Tensor::randn({5}, ++seed));
    }
    for (Tensor buffer : net.buffers()) {
      buffer.fill_(static_cast<double>(++seed));
    }
  }

  [[nodiscard]] Bits bits() {
    Bits all;
    for (const auto& parameter : net.parameters()) {
      keep(all, parameter.data());
      keep(all, parameter.grad());
      all.push_back(parameter.requires_grad() ? 1 : 0);
      all.push_back(static_cast<double>(parameter.data().dtype()));
      all.push_back(parameter.grad().defined() ? 1 : 0);
    }
    for (const Tensor& buffer : net.buffers()) {
      keep(all, buffer);
      all.push_back(static_cast<double>(buffer.dtype()));
    }
    for (const halnorm::nn::Module* module : net.modules()) {
      all.push_back(module->is_training() ? 1 : 0);
    }
    return all;
  }
};

}  // namespace

TEST(AllocationOfModules, ATreeChangesAsAWhole) {
  const halnorm::StateDict other = [] {
    Tree tree;
    for (const auto& [name, tensor] : tree.net.state_dict()) {
      Tensor(tensor).fill_(3);
    }
    return tree.net.state_dict();
  }();
  halnorm::StateDict partial = other;
  partial.erase("1.weight");
  const std::vector<std::function<void(Tree&)>> changes = {
      [&](Tree& tree) { tree.net.load_state_dict(other); },
      [&](Tree& tree) { tree.net.load_state_dict(partial, false); },
      [](Tree& tree) { tree.net.zero_grad(); },
      [](Tree& tree) { tree.net.zero_grad(true); },
      [](Tree& tree) { tree.net.requires_grad_(false); },
      [](Tree& tree) { tree.net.eval(); },
      [](Tree& tree) { tree.net.to(DType::Float64); },
      [](Tree& tree) {
        tree.net.apply_to_tensors([](const Tensor& tensor) { return tensor.clone(); });
      },
      [](Tree& tree) { dynamic_cast<BatchNorm1d&>(*tree.net.at(1)).reset_parameters(); },
      [](Tree& tree) { dynamic_cast<BatchNorm1d&>(*tree.net.at(1)).reset_running_stats(); },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    SCOPED_TRACE(i);
    for (const auto mode : {failing_memory::Mode::once, failing_memory::Mode::on}) {
      Tree tree;
      const int allocations =
          fail_at_each_allocation([&] { return tree.bits(); }, [&] { changes[i](tree); }, mode);
      EXPECT_GT(allocations, 0);
      Tree wanted;
      changes[i](wanted);
      EXPECT_EQ(tree.bits(), wanted.bits()) << "the retry";
    }
  }
}

TEST(AllocationOfModules, AnErrorFindsItsPathOrThrowsAnother) {
  auto inner = std::make_shared<halnorm::nn::Sequential>(Layers{std::make_shared<BatchNorm1d>(5)});
  halnorm::nn::Sequential net(Layers{std::make_shared<BatchNorm1d>(5), inner});
  inner->register_forward_pre_hook([](halnorm::nn::Module&, const Tensor& x) {
    return x.reshape({x.numel()});  // one axis too few for what comes
  });
  const Tensor x = Tensor::randn({3, 5}, 1);
  for (int nth = 1;; ++nth) {
    ASSERT_LT(nth, 10000);
    try {
      const failing_memory::From from(nth, failing_memory::Mode::once);
      net(x);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::bad_alloc&) {
      continue;
    } catch (const halnorm::KernelError&) {
      continue;
    } catch (const halnorm::ShapeError& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("1.0: ")) << error.what();
      break;
    }
  }
}
