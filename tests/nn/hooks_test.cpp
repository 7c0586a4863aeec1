#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

#include "nn/fixture.h"
#include "support/throws.h"

using fixture::Echo;
using fixture::tensor;
using fixture::values;
using halnorm::Tensor;
using halnorm::nn::BatchNorm1d;
using halnorm::nn::HookHandle;
using halnorm::nn::Module;
using Doubles = std::vector<double>;

namespace {

/// A pre-hook that records its number and does not change the input.
auto note(std::vector<int>& calls, int number) {
  return [&calls, number](Module&, const Tensor&) {
    calls.push_back(number);
    return Tensor();
  };
}

}  // namespace

TEST(Hooks, ReplaceInputsAndOutputsInOrder) {
  Echo module;
  module.register_forward_pre_hook([&](Module& self, const Tensor& x) {
    EXPECT_EQ(&self, &module);
    EXPECT_EQ(values(x), Doubles{1});
    return tensor({2});
  });
  module.register_forward_pre_hook([](Module&, const Tensor& x) {
    EXPECT_EQ(values(x), Doubles{2}) << "the first hook's result";
    return Tensor();
  });
  module.register_forward_hook([](Module&, const Tensor& x, const Tensor& y) {
    EXPECT_EQ(values(x), Doubles{2});
    EXPECT_EQ(values(y), Doubles{2});
    return tensor({3});
  });
  module.register_forward_hook([](Module&, const Tensor&, const Tensor& y) {
    EXPECT_EQ(values(y), Doubles{3});
    return Tensor();
  });
  EXPECT_EQ(values(module(tensor({1}))), Doubles{3});
  EXPECT_EQ(values(module.forward(tensor({1}))), Doubles{1}) << "forward itself runs no hooks";
}

TEST(Hooks, OneHookMayStandTwiceAndPrependComesFirst) {
  Echo module;
  std::vector<int> calls;
  module.register_forward_pre_hook(note(calls, 1));
  module.register_forward_pre_hook(note(calls, 1));
  module.register_forward_pre_hook(note(calls, 0), true);
  module(tensor({1}));
  EXPECT_EQ(calls, (std::vector<int>{0, 1, 1}));
}

TEST(Hooks, BelongToOneModule) {
  fixture::Net net;
  int calls = 0;
  net.b->register_forward_hook([&](Module&, const Tensor&, const Tensor&) {
    ++calls;
    return Tensor();
  });
  (*net.b)(Tensor::randn({4, 2}, 1));
  EXPECT_EQ(calls, 1);
}

TEST(Hooks, HandlesRemove) {
  std::vector<int> calls;
  HookHandle first;
  {
    Echo module;
    first = module.register_forward_pre_hook(note(calls, 1));
    HookHandle second = module.register_forward_pre_hook(note(calls, 2));
    first.remove();
    first.remove();
    module.register_forward_pre_hook(note(calls, 3));
    module(tensor({1}));
    EXPECT_EQ(calls, (std::vector<int>{2, 3})) << "a new hook takes nobody's place";
    const HookHandle copy = second;
    second.remove();
    calls.clear();
    module(tensor({1}));
    EXPECT_EQ(calls, std::vector<int>{3});
    first = module.register_forward_pre_hook(note(calls, 4));
  }
  first.remove();  // the module is gone
  HookHandle().remove();
}

TEST(Hooks, ChangesDuringACallCountFromTheNext) {
  Echo module;
  std::vector<int> calls;
  HookHandle second;
  module.register_forward_pre_hook([&](Module& self, const Tensor&) {
    if (calls.empty()) {
      self.register_forward_pre_hook(note(calls, 3));
      second.remove();
    }
    calls.push_back(1);
    return Tensor();
  });
  second = module.register_forward_pre_hook(note(calls, 2));
  module(tensor({1}));
  EXPECT_EQ(calls, (std::vector<int>{1, 2}));
  module(tensor({1}));
  EXPECT_EQ(calls, (std::vector<int>{1, 2, 1, 3}));
}

namespace {

/// Runs a function of the caller in its forward.
class Calls : public Module {
 public:
  explicit Calls(std::function<void(Calls&)> act) : act_(std::move(act)) {}
  Tensor forward(const Tensor& x) override {
    act_(*this);
    return x;
  }

 private:
  std::function<void(Calls&)> act_;
};

/// A forward hook that records its number.
auto note_after(std::vector<int>& calls, int number) {
  return [&calls, number](Module&, const Tensor&, const Tensor&) {
    calls.push_back(number);
    return Tensor();
  };
}

}  // namespace

TEST(Hooks, APreHookAddsHooksOfEitherKind) {
  for (const bool has_hook : {false, true}) {
    Echo module;
    std::vector<int> calls;
    if (has_hook) {
      module.register_forward_hook(note_after(calls, 4));
    }
    HookHandle first = module.register_forward_pre_hook([&](Module& self, const Tensor&) {
      calls.push_back(1);
      self.register_forward_pre_hook(note(calls, 2));
      self.register_forward_hook(note_after(calls, 3), true);
      first.remove();
      return Tensor();
    });
    module(tensor({1}));
    EXPECT_EQ(calls, has_hook ? (std::vector<int>{1, 3, 4}) : (std::vector<int>{1, 3}))
        << "the list of hooks is read after forward, that of pre-hooks before";
    calls.clear();
    module(tensor({1}));
    EXPECT_EQ(calls, has_hook ? (std::vector<int>{2, 3, 4}) : (std::vector<int>{2, 3}));
  }
}

TEST(Hooks, ForwardAddsHooksOfEitherKind) {
  for (const bool has_hook : {false, true}) {
    std::vector<int> calls;
    Calls module([&calls](Calls& self) {
      if (calls.size() < 2) {
        self.register_forward_pre_hook(note(calls, 2));
        self.register_forward_hook(note_after(calls, 3));
      }
    });
    if (has_hook) {
      module.register_forward_pre_hook(note(calls, 0));
      module.register_forward_hook(note_after(calls, 1));
    }
    module(tensor({1}));
    EXPECT_EQ(calls, has_hook ? (std::vector<int>{0, 1, 3}) : std::vector<int>{3});
    calls = {9, 9};
    module(tensor({1}));
    EXPECT_EQ(calls,
              has_hook ? (std::vector<int>{9, 9, 0, 2, 1, 3}) : (std::vector<int>{9, 9, 2, 3}));
  }
}

TEST(Hooks, AHookAddsHooksOfEitherKind) {
  Echo module;
  std::vector<int> calls;
  HookHandle first = module.register_forward_hook([&](Module& self, const Tensor&, const Tensor&) {
    calls.push_back(1);
    self.register_forward_hook(note_after(calls, 2));
    self.register_forward_pre_hook(note(calls, 3));
    first.remove();
    return Tensor();
  });
  module(tensor({1}));
  EXPECT_EQ(calls, std::vector<int>{1});
  calls.clear();
  module(tensor({1}));
  EXPECT_EQ(calls, (std::vector<int>{3, 2}));
}

TEST(Hooks, RemovedDuringACallRunIfTheirListWasRead) {
  Echo module;
  std::vector<int> calls;
  HookHandle pre;
  HookHandle hook;
  HookHandle last;
  module.register_forward_pre_hook([&](Module&, const Tensor&) {
    pre.remove();
    hook.remove();
    return Tensor();
  });
  pre = module.register_forward_pre_hook(note(calls, 1));
  hook = module.register_forward_hook(note_after(calls, 2));
  module.register_forward_hook([&](Module&, const Tensor&, const Tensor&) {
    last.remove();
    return Tensor();
  });
  last = module.register_forward_hook(note_after(calls, 3));
  module(tensor({1}));
  EXPECT_EQ(calls, (std::vector<int>{1, 3}));
  module(tensor({1}));
  EXPECT_EQ(calls, (std::vector<int>{1, 3}));
}

TEST(Hooks, ErrorsOfPreHooksChangeNothing) {
  BatchNorm1d layer(1);
  HookHandle handle = layer.register_forward_pre_hook(
      [](Module&, const Tensor&) -> Tensor { throw std::logic_error("the caller's own"); });
  EXPECT_THROW(layer(tensor({1, 2}, {2, 1})), std::logic_error);
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 0);
  handle.remove();
  layer.register_forward_hook([](Module&, const Tensor&, const Tensor&) -> Tensor {
    throw halnorm::ValueError("the caller's own");
  });
  expect_throws<halnorm::ValueError>([&] { layer(tensor({1, 2}, {2, 1})); }, {"the caller's own"});
  EXPECT_EQ(layer.num_batches_tracked.item<std::int64_t>(), 1) << "the forward was complete";
}

TEST(Hooks, AnEmptyFunctionIsRefused) {
  Echo module;
  expect_throws<halnorm::ValueError>([&] { module.register_forward_hook(nullptr); },
                                     {"register_forward_hook", "empty function"});
  expect_throws<halnorm::ValueError>([&] { module.register_forward_pre_hook(nullptr); },
                                     {"register_forward_pre_hook"});
  expect_throws<halnorm::ValueError>([&] { module.register_load_state_dict_pre_hook(nullptr); },
                                     {"register_load_state_dict_pre_hook"});
}

TEST(Hooks, SeeACallWithAGivenOutput) {
  BatchNorm1d layer(1);
  layer.register_forward_hook([](Module&, const Tensor&, const Tensor&) { return tensor({9}); });
  Tensor out = Tensor::zeros({2, 1});
  EXPECT_EQ(values(layer(tensor({1, 3}, {2, 1}), out)), Doubles{9});
  EXPECT_NEAR(values(out)[1], 1, 1e-4) << "forward wrote it all the same";
}
