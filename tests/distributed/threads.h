#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "distributed/ranks.h"
#include "thread_communicator.h"

namespace ranks {

/// run() of ranks.h, for ranks that are threads.
inline void run_threads(int count, const Wrap& wrap,
                        const std::function<void(const halnorm::Placement&)>& body) {
  const auto meeting = std::make_shared<ThreadCommunicator::Meeting>(count);
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(count));
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < count; ++rank) {
      threads.emplace_back([&, rank] {
        try {
          body(halnorm::Placement(wrap(std::make_shared<ThreadCommunicator>(meeting, rank)),
                                  halnorm::DeviceType::CPU));
        } catch (...) {
          errors[static_cast<std::size_t>(rank)] = std::current_exception();
        }
      });
    }
  }
  for (const std::exception_ptr& error : errors) {
    if (error) {
      std::rethrow_exception(error);
    }
  }
}

}  // namespace ranks
