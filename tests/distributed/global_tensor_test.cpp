#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <string_view>
#include <vector>

#include "distributed/ranks.h"
#include "halnorm/halnorm.h"
#include "support/throws.h"
#include "thread_communicator.h"

namespace {

using halnorm::DType;
using halnorm::Placement;
using halnorm::Sbp;
using halnorm::Shape;
using halnorm::Tensor;
using halnorm::ValueError;

/// A group of one, which exchanges nothing.
class NoCommunicator : public halnorm::Communicator {
 public:
  [[nodiscard]] int rank() const override { return 0; }
  [[nodiscard]] int size() const override { return 1; }
  void all_gather(const void* /*mine*/, void* /*all*/, std::size_t /*bytes*/) override {
    throw halnorm::Error("a group of one exchanged something");
  }
};

std::vector<double> values(const Tensor& tensor) { return tensor.to_vector<double>(); }

TEST(GlobalTensor, BroadcastHasRankZerosValues) {
  ranks::run(3, [](const Placement& placement) {
    const Tensor own = Tensor::full({2, 2}, 7.0 + ranks::rank(placement));
    const Tensor all = own.to_global(placement, Sbp::broadcast());
    EXPECT_TRUE(all.is_global());
    EXPECT_EQ(all.placement(), placement);
    EXPECT_EQ(all.sbp(), Sbp::broadcast());
    EXPECT_EQ(values(all), (std::vector<double>{7, 7, 7, 7}));
    EXPECT_EQ(values(own)[0], 7 + ranks::rank(placement)) << "it is a copy";
  });
}

TEST(GlobalTensor, SplitSharesItsPartAndShowsTheWholeShape) {
  ranks::run(2, [](const Placement& placement) {
    const int rank = ranks::rank(placement);
    const Tensor own = Tensor::full({rank == 0 ? 3 : 1, 2}, rank);
    const Tensor all = own.to_global(placement, Sbp::split(0));
    EXPECT_EQ(all.shape(), (Shape{4, 2}));
    EXPECT_EQ(all.numel(), 8);
    EXPECT_EQ(all.size(0), 4);
    EXPECT_EQ(all.to_local().raw_data(), own.raw_data());
    EXPECT_EQ(values(all.to_global(Sbp::broadcast())),
              (std::vector<double>{0, 0, 0, 0, 0, 0, 1, 1}));
    EXPECT_EQ(all.clone().sbp(), Sbp::split(0));
    EXPECT_EQ(all.to(DType::Float64).to_local().dtype(), DType::Float64);
  });
}

TEST(GlobalTensor, EverySbpLeadsToEveryOther) {
  const Tensor x = ranks::normal({5, 4, 3}, 1);
  for (const DType dtype : {DType::Float32, DType::BFloat16, DType::Float64, DType::Int64}) {
    ranks::run(3, [&](const Placement& placement) {
      const Tensor all = x.to(dtype).to_global(placement, Sbp::broadcast());
      const std::vector<Sbp> sbps = {Sbp::broadcast(), Sbp::split(0), Sbp::split(1), Sbp::split(2),
                                     Sbp::partial_sum()};
      for (const Sbp from : sbps) {
        for (const Sbp to : sbps) {
          const Tensor moved = all.to_global(from).to_global(to);
          EXPECT_EQ(moved.sbp(), to);
          EXPECT_EQ(moved.shape(), x.shape());
          EXPECT_EQ(values(moved.to_global(Sbp::broadcast())), values(x.to(dtype)))
              << from.str() << " to " << to.str();
        }
      }
    });
  }
}

TEST(GlobalTensor, PartialSumIsTheSumOfTheRanks) {
  ranks::run(4, [](const Placement& placement) {
    const Tensor own = Tensor::full({2}, 1.0 + ranks::rank(placement));
    const Tensor all = own.to_global(placement, Sbp::partial_sum());
    EXPECT_EQ(values(all.to_global(Sbp::broadcast())), (std::vector<double>{10, 10}));
  });
}

TEST(GlobalTensor, PartsHaveNoElementsOfTheWhole) {
  ranks::run(2, [](const Placement& placement) {
    const Tensor all = Tensor::ones({2, 3}).to_global(placement, Sbp::split(0));
    const std::initializer_list<std::string_view> refused = {"split(axis=0)", "wanted a local one"};
    expect_throws<ValueError>([&] { static_cast<void>(all.to_vector<double>()); }, refused);
    expect_throws<ValueError>([&] { static_cast<void>(all.raw_data()); }, refused);
    expect_throws<ValueError>([&] { static_cast<void>(all.narrow(0, 0, 1)); }, refused);
    expect_throws<ValueError>([&] { static_cast<void>(all.strides()); }, refused);
    expect_throws<ValueError>([&] { Tensor(all).fill_(1); }, refused);
    expect_throws<ValueError>(
        [&] { halnorm::functional::batch_norm_train(all, Tensor(), Tensor(), 1e-5); }, refused);
  });
}

TEST(GlobalTensor, ErrorsOfTheReference) {
  ranks::run(2, [](const Placement& placement) {
    const Tensor local = Tensor::ones({3});
    expect_throws<ValueError>([&] { static_cast<void>(local.to_local()); },
                              {"Expected global tensor for to_local but got local tensor!"});
    expect_throws<ValueError>([&] { static_cast<void>(local.to_global(Sbp::split(0))); },
                              {"must have placement and sbp parameters."});
    expect_throws<ValueError>([&] { static_cast<void>(local.placement()); }, {"'placement'"});
    expect_throws<ValueError>([&] { static_cast<void>(local.sbp()); }, {"'sbp'"});
    expect_throws<ValueError>(
        [&] { static_cast<void>(local.to_global(placement, Sbp::split(1))); },
        {"Split axis out of range (expected to be in range of [0, 1), but got 1!)"});
    const Tensor scalar = Tensor::zeros({});
    expect_throws<ValueError>(
        [&] { static_cast<void>(scalar.to_global(placement, Sbp::split(0))); },
        {"[0, 0), but got 0!"});
    const Tensor all = local.to_global(placement, Sbp::broadcast());
    const Placement cuda(std::make_shared<NoCommunicator>(), halnorm::DeviceType::CUDA);
    expect_throws<ValueError>([&] { static_cast<void>(all.to_global(cuda, Sbp::broadcast())); },
                              {"at least two placements", "type=\"cuda\"", "ranks=[0, 1]"});
    expect_throws<halnorm::DeviceError>(
        [&] { static_cast<void>(local.to_global(cuda, Sbp::broadcast())); }, {"cpu", "cuda"});
    expect_throws<ValueError>(
        [&] { static_cast<void>(Tensor().to_global(placement, Sbp::split(0))); }, {"undefined"});
  });
}

TEST(GlobalTensor, ShapesAndDtypesThatDifferAreAnErrorOnAllRanks) {
  ranks::run(3, [](const Placement& placement) {
    const bool last = ranks::rank(placement) == 2;
    const Tensor wider = Tensor::ones({2, last ? 4 : 3});
    expect_throws<ValueError>([&] { static_cast<void>(wider.to_global(placement, Sbp::split(0))); },
                              {"shape: (0, 4)", "on rank 2", "shape: (0, 3)", "rank 0"});
    const Tensor other = Tensor::ones({2}, last ? DType::Float64 : DType::Float32);
    expect_throws<ValueError>(
        [&] { static_cast<void>(other.to_global(placement, Sbp::broadcast())); },
        {"dtype: float64", "rank 2", "float32"});
    const Sbp sbp = last ? Sbp::broadcast() : Sbp::partial_sum();
    expect_throws<ValueError>(
        [&] { static_cast<void>(Tensor::ones({2}).to_global(placement, sbp)); },
        {"sbp: broadcast", "sbp: partial_sum"});
    EXPECT_EQ(values(Tensor::ones({2}).to_global(placement, Sbp::broadcast())),
              (std::vector<double>{1, 1}))
        << "the next call works";
  });
}

TEST(Placements, AreCheckedAndPrinted) {
  const auto one = std::make_shared<NoCommunicator>();
  const Placement alone(one, halnorm::DeviceType::CPU);
  EXPECT_EQ(alone.str(), "placement(type=\"cpu\", ranks=[0])");
  EXPECT_EQ(alone, Placement(one, halnorm::DeviceType::CPU, {0}));
  EXPECT_NE(alone, Placement(one, halnorm::DeviceType::CUDA));
  EXPECT_THROW(Placement(nullptr, halnorm::DeviceType::CPU), ValueError);
  EXPECT_THROW(Placement(one, halnorm::DeviceType::CPU, {}), ValueError);
  EXPECT_THROW(Placement(one, halnorm::DeviceType::CPU, {1}), ValueError);
  EXPECT_THROW(Placement(one, halnorm::DeviceType::CPU, {0, 0}), ValueError);
  EXPECT_EQ(Sbp::split(2).str(), "split(axis=2)");
}

TEST(Placements, OfSomeRanksNeedSubsets) {
  const auto meeting = std::make_shared<ThreadCommunicator::Meeting>(2);
  for (const int rank : {0, 1}) {
    const auto world = std::make_shared<ThreadCommunicator>(meeting, rank);
    if (world->rank() == 1) {
      expect_throws<halnorm::CommunicationError>(
          [&] { Placement(world, halnorm::DeviceType::CPU, {1}); }, {"subset", "[1]"});
    } else {
      const Placement other(world, halnorm::DeviceType::CPU, {1});
      EXPECT_FALSE(other.contains_this_rank());
      expect_throws<ValueError>(
          [&] { static_cast<void>(Tensor::ones({2}).to_global(other, Sbp::broadcast())); },
          {"rank 0 is none of"});
    }
  }
}

}  // namespace
