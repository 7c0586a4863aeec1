#pragma once

#include <ios>

#include "halnorm/version.h"

namespace halnorm::HALNORM_ABI::detail {

/// During its lifetime a stream throws no exceptions, also if its user has set an exception mask.
class NoIosExceptions {
 public:
  explicit NoIosExceptions(std::ios& stream) : stream_(stream), mask_(stream.exceptions()) {
    stream.exceptions(std::ios::goodbit);
  }
  ~NoIosExceptions() {
    try {
      stream_.exceptions(mask_);
    } catch (const std::ios_base::failure&) {
      // The mask is set by now. The state that it throws for has already become our own error.
      static_cast<void>(mask_);
    }
  }
  NoIosExceptions(const NoIosExceptions&) = delete;
  NoIosExceptions& operator=(const NoIosExceptions&) = delete;

 private:
  std::ios& stream_;
  std::ios::iostate mask_;
};

}  // namespace halnorm::HALNORM_ABI::detail
