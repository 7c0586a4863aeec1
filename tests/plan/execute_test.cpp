#include <cmath>

#include "support/cases/problem.h"
#include "support/kernel_test.h"
#include "support/tolerance.h"

/// @file
/// Shapes for which a plan has several kernels, or one on another view of the data
/// (docs/decisions/010). The shapes of other tests are small; these reach every branch.

namespace F = halnorm::functional;
using halnorm::Tensor;
using placement::Layout;

namespace {

constexpr double eps = 1e-5;

const std::vector<shapes::Extents> unusual = {
    {2111, 3, 1, "few channels in rows of columns, and rows left over"},
    {1500, 1, 1, "one channel in rows of columns"},
    {1031, 15, 1, "most of the few channels"},
    {130, 1, 9, "one channel, short rows"},
    {70, 5, 7, "short rows as columns"},
    {16, 33, 15, "the longest of the short rows, the fewest of them"},
    {17, 190, 9, "short rows as columns, in groups of channels, the last of them smaller"},
    {515, 9, 17, "many rows of few vectors: sums by columns"},
    {513, 2, 75, "the same, of rows too short to be written past the caches one by one"},
    {20, 9, 16, "rows of one cache line"},
    {40, 3, 2100, "few channels of many elements in boxes of rows"},
    {1, 2, 150001, "the same in boxes along L"},
    {9, 40, 100, "nothing unusual"},
    {9, 48, 96, "rows of whole cache lines in either layout"},
    {5, 6, 701, "long rows that start anywhere"},
    {3, 5, 8209, "the same, of narrow data too"},
    {300, 70, 1, "rows that start anywhere, put together for whole lines"},
    {30, 3, 1024, "few channels in boxes, of whole vectors"},
};

/// The second parameter is whether outputs of any size have non-temporal stores.
class Passes : public KernelTest {
 protected:
  void TearDown() override {
    halnorm::set_streaming_threshold(halnorm::default_streaming_threshold);
    KernelTest::TearDown();
  }

  /// Checks that the last output of the last shape had non-temporal stores, if there is a kernel
  /// with them. Other layouts than NCL may start at any address.
  void expect_streamed() const {
    const bool exists = GetParam().target.starts_with("avx");
    if (!exists || layout() == Layout::Ncl) {
      EXPECT_EQ(halnorm::last_kernel().find("_nontemporal_") != std::string::npos, exists)
          << halnorm::last_kernel();
    }
  }

  void expect_forward(const Problem& p, const oracle::Batch& y, const oracle::Values& mean,
                      const oracle::Values& invstd) const {
    const oracle::Values wanted = oracle::normalize(p.x_values, mean, invstd, p.w(), p.b());
    expect_near(y.values, wanted, tolerance::normalized(dtype(), wanted, mean, invstd, p.w()), "y",
                dtype());
  }

  void expect_gradients(const Problem& p, const oracle::Batch& dx, const F::BatchNormBackward& got,
                        const oracle::Gradients& truth, const oracle::Values& mean,
                        const oracle::Values& invstd) const {
    const auto allowed =
        tolerance::gradients(dtype(), p.dy_values, p.x_values, mean, invstd, p.w(), truth);
    expect_near(dx.values, truth.dx, allowed.dx, "dx", dtype());
    expect_near(inputs::doubles(got.dweight), truth.dweight, allowed.dweight, "dweight");
    expect_near(inputs::doubles(got.dbias), truth.dbias, allowed.dbias, "dbias");
  }

  /// Training and inference, forward and backward.
  void check(const shapes::Extents& extents) const {
    Problem p(source(extents), layout(), extents, dtype(), 1e2);
    Tensor out = p.out.tensor();
    const oracle::Statistics batch = oracle::statistics(p.x_values);
    const auto forward = F::batch_norm_train(p.x.tensor(), p.weight, p.bias, eps, out);
    expect_forward(p, p.out.batch(), batch.mean, batch.invstd(eps));
    const auto backward = F::batch_norm_backward(p.dy.tensor(), p.x.tensor(), p.weight,
                                                 forward.mean, forward.invstd, out);
    expect_gradients(p, p.out.batch(), backward,
                     oracle::backward(p.dy_values, p.x_values, batch, p.w(), eps), batch.mean,
                     batch.invstd(eps));

    const oracle::Running running = p.running();
    const oracle::Values invstd = oracle::invstd_of(running.variance, eps);
    F::batch_norm_infer(p.x.tensor(), p.running_mean, p.running_var, p.weight, p.bias, eps, out);
    expect_forward(p, p.out.batch(), running.mean, invstd);
    const auto constant = F::batch_norm_backward_infer(p.dy.tensor(), p.x.tensor(), p.weight,
                                                       p.running_mean, p.running_var, eps, out);
    expect_gradients(p, p.out.batch(), constant,
                     oracle::backward_infer(p.dy_values, p.x_values, running, p.w(), eps),
                     running.mean, invstd);
    EXPECT_TRUE(p.out.surroundings_intact());
  }
};

}  // namespace

TEST_P(Passes, MatchTheFormulas) {
  for (const shapes::Extents& extents : unusual) {
    SCOPED_TRACE(describe(extents));
    check(extents);
  }
}

TEST_P(Passes, PastTheCachesAreTheSame) {
  halnorm::set_streaming_threshold(1);
  for (const shapes::Extents& extents : unusual) {
    for (const int threads : each_of<int>({1, 2}, extents)) {
      halnorm::set_num_threads(threads);
      SCOPED_TRACE(describe(extents) + ", threads " + std::to_string(threads));
      check(extents);
    }
  }
  expect_streamed();
}

TEST_P(Passes, WideRowsGoPastTheCachesInParts) {
  if (GetParam().target.starts_with("avx")) {
    halnorm::set_streaming_threshold(1);
    check({17, 65545, 1, "two parts and an odd end"});
  }
}

TEST_P(Passes, AreTheSameBitsForAnyNumberOfThreads) {
  for (const shapes::Extents& extents : unusual) {
    SCOPED_TRACE(describe(extents));
    Problem p(source(extents), layout(), extents, dtype(), 1e2);
    const auto all_bits = [&] {
      const auto m = F::batch_norm_moments(p.x.tensor());
      const auto s = F::batch_norm_backward_reduce(p.dy.tensor(), p.x.tensor(), m.mean, m.mean, {});
      const auto f = F::batch_norm_train(p.x.tensor(), p.weight, p.bias, eps, p.out.tensor());
      std::vector<double> bits = p.out.batch().values;
      F::batch_norm_backward(p.dy.tensor(), p.x.tensor(), p.weight, f.mean, f.invstd,
                             p.out.tensor());
      const std::vector<double> dx = p.out.batch().values;
      bits.insert(bits.end(), dx.begin(), dx.end());
      for (const Tensor& t : {m.mean, m.m2, s.sum_dy, s.sum_dy_xmu, f.mean, f.invstd}) {
        const std::vector<double> values = inputs::doubles(t);
        bits.insert(bits.end(), values.begin(), values.end());
      }
      return bits;
    };
    for (const std::int64_t bytes : {halnorm::default_streaming_threshold, std::int64_t{1}}) {
      halnorm::set_streaming_threshold(bytes);
      halnorm::set_num_threads(1);
      const std::vector<double> alone = all_bits();
      halnorm::set_num_threads(3);
      EXPECT_TRUE(same_bits(all_bits(), alone)) << "streaming above " << bytes;
    }
  }
}

TEST_P(Passes, SumsAreTheSameBitsWhereDataIsFetchedAhead) {
  for (const shapes::Extents& extents : unusual) {
    SCOPED_TRACE(describe(extents));
    Problem p(source(extents), layout(), extents, dtype(), 1e2);
    const auto sums = [&](std::int64_t threshold) {
      halnorm::set_streaming_threshold(threshold);
      const auto m = F::batch_norm_moments(p.x.tensor());
      const auto s = F::batch_norm_backward_reduce(p.dy.tensor(), p.x.tensor(), m.mean, m.mean, {});
      std::vector<double> all;
      for (const Tensor& t : {m.mean, m.m2, s.sum_dy, s.sum_dy_xmu}) {
        const std::vector<double> values = inputs::doubles(t);
        all.insert(all.end(), values.begin(), values.end());
      }
      return all;
    };
    EXPECT_TRUE(same_bits(sums(1), sums(0)));
  }
}

namespace {

/// The name of the kernel that writes y of (n, c, l) in Float32 on the target.
std::string writes(const std::string& target, const halnorm::Shape& shape, bool in_place) {
  halnorm::force_target(target);
  const Tensor x = Tensor::randn(shape, 1);
  F::batch_norm_train(x, {}, {}, eps, in_place ? x : Tensor::empty(shape));
  return halnorm::last_kernel();
}

}  // namespace

TEST(StreamingThreshold, ChoosesTheKernels) {
  constexpr std::int64_t bytes = std::int64_t{16} * 16 * 64 * 2 * 4;  // x and y
  for (const std::string& target : targets_of(halnorm::DType::Float32)) {
    const std::string form = target.starts_with("avx") ? "_nontemporal" : "";
    const std::string plain = "halnorm_batch_norm_train_ncl_f32__" + target;
    halnorm::set_streaming_threshold(bytes - 1);
    EXPECT_EQ(writes(target, {16, 16, 64}, false),
              "halnorm_batch_norm_train" + form + "_ncl_f32__" + target);
    EXPECT_EQ(writes(target, {16, 16, 64}, true), plain);
    EXPECT_EQ(writes(target, {16, 17, 65}, false), plain) << "short rows start anywhere";
    EXPECT_EQ(writes(target, {16, 17, 513}, false),
              "halnorm_batch_norm_train" + form + "_ncl_f32__" + target);
    EXPECT_EQ(writes(target, {16, 17, 301}, false),
              target == "avx512" ? "halnorm_batch_norm_train_nontemporal_ncl_f32__avx512" : plain);
    halnorm::set_streaming_threshold(bytes);
    EXPECT_EQ(writes(target, {16, 16, 64}, false), plain);
    halnorm::set_streaming_threshold(0);
    EXPECT_EQ(writes(target, {16, 16, 64}, false), plain);
  }
  halnorm::set_streaming_threshold(halnorm::default_streaming_threshold);
  halnorm::force_target("");
}

TEST(StreamingThreshold, ChoosesTheSums) {
  const Tensor x = Tensor::randn({16, 16, 64}, 1);
  const std::int64_t bytes = x.numel() * 4;
  for (const std::string& target : targets_of(halnorm::DType::Float32)) {
    halnorm::force_target(target);
    const std::string end = "_ncl_f32__" + target;
    const std::string form = target.starts_with("avx") ? "_nontemporal" : "";
    halnorm::set_streaming_threshold(2 * bytes - 1);
    const auto m = F::batch_norm_moments(x);
    EXPECT_EQ(halnorm::last_kernel(), "halnorm_batch_norm_moments" + form + end);
    halnorm::set_streaming_threshold(2 * bytes);
    F::batch_norm_moments(x);
    EXPECT_EQ(halnorm::last_kernel(), "halnorm_batch_norm_moments" + end);
    F::batch_norm_backward_reduce(x, x, m.mean, m.mean, {});
    EXPECT_EQ(halnorm::last_kernel(), "halnorm_batch_norm_backward_reduce" + form + end);
    halnorm::set_streaming_threshold(0);
    F::batch_norm_backward_reduce(x, x, m.mean, m.mean, {});
    EXPECT_EQ(halnorm::last_kernel(), "halnorm_batch_norm_backward_reduce" + end);
  }
  halnorm::set_streaming_threshold(halnorm::default_streaming_threshold);
  halnorm::force_target("");
}

TEST(StreamingThreshold, IsNotNegative) {
  EXPECT_THROW(halnorm::set_streaming_threshold(-1), halnorm::ValueError);
}

INSTANTIATE_TEST_SUITE_P(Kernels, Passes, ::testing::ValuesIn([] {
                           std::vector<KernelCase> cases = writable_cases();
                           std::erase_if(cases, [](const KernelCase& c) {
                             return c.layout == Layout::ChannelsWindow ||
                                    c.layout == Layout::Reversed;
                           });
                           return cases;
                         }()),
                         name_of_param);
