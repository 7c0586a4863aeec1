#include "ranks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <numeric>
#include <span>

namespace ranks {

using halnorm::Placement;
using halnorm::Tensor;

void run(int count, const std::function<void(const Placement&)>& body) {
  run(
      count, [](std::shared_ptr<halnorm::Communicator> own) { return own; }, body);
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

Tensor rows(const Tensor& x, const std::vector<std::int64_t>& lengths, std::size_t rank) {
  const std::int64_t begin = std::accumulate(
      lengths.begin(), lengths.begin() + static_cast<std::ptrdiff_t>(rank), std::int64_t{0});
  return x.narrow(0, begin, lengths[rank]);
}

Tensor split_rows(const Tensor& x, const std::vector<std::int64_t>& lengths,
                  const Placement& placement) {
  return rows(x, lengths, static_cast<std::size_t>(rank(placement)))
      .to_global(placement, halnorm::Sbp::split(0));
}

Tensor normal(const halnorm::Shape& shape, std::uint64_t seed, double mean, halnorm::DType dtype) {
  auto values = Tensor::randn(shape, seed).to_vector<double>();
  for (double& value : values) {
    value += mean;
  }
  return Tensor::from(std::span<const double>(values), shape).to(dtype);
}

void expect_near(const Tensor& got, const Tensor& wanted, double tolerance,
                 const std::string& what) {
  ASSERT_EQ(got.defined(), wanted.defined()) << what;
  if (!wanted.defined()) {
    return;
  }
  ASSERT_EQ(got.shape(), wanted.shape()) << what;
  ASSERT_EQ(got.dtype(), wanted.dtype()) << what;
  const auto g = got.to_vector<double>();
  const auto w = wanted.to_vector<double>();
  for (std::size_t i = 0; i < w.size(); ++i) {
    ASSERT_NEAR(g[i], w[i], tolerance * std::max(1.0, std::abs(w[i]))) << what << " at " << i;
  }
}

}  // namespace ranks
