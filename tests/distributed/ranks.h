#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "halnorm/halnorm.h"

/// @file
/// Ranks for the tests: threads of this process.

namespace ranks {

/// Calls body(placement) on `count` threads, each of which is a rank, and throws the first rank's
/// exception that any of them threw.
void run(int count, const std::function<void(const halnorm::Placement&)>& body);

/// The same with a communicator of the test around the communicator of each rank.
using Wrap =
    std::function<std::shared_ptr<halnorm::Communicator>(std::shared_ptr<halnorm::Communicator>)>;
void run(int count, const Wrap& wrap, const std::function<void(const halnorm::Placement&)>& body);

inline int rank(const halnorm::Placement& placement) { return placement.group().rank(); }

/// The message of the exception that a call throws, "" for none.
std::string message_of(const std::function<void()>& call);

/// Rows of x for each rank, of the given lengths, as a tensor of its own.
halnorm::Tensor rows(const halnorm::Tensor& x, const std::vector<std::int64_t>& lengths,
                     std::size_t rank);

/// rows() of this rank as a global tensor, split over the batch.
halnorm::Tensor split_rows(const halnorm::Tensor& x, const std::vector<std::int64_t>& lengths,
                           const halnorm::Placement& placement);

/// Normal values of this mean and a standard deviation of 1.
halnorm::Tensor normal(const halnorm::Shape& shape, std::uint64_t seed, double mean = 0,
                       halnorm::DType dtype = halnorm::DType::Float32);

/// Checks that both are defined or undefined, of one shape and dtype, and within `tolerance`
/// relative to the larger of 1 and the value.
void expect_near(const halnorm::Tensor& got, const halnorm::Tensor& wanted, double tolerance,
                 const std::string& what);

}  // namespace ranks
