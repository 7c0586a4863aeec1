#include "halnorm/grad_mode.h"

namespace halnorm::HALNORM_ABI {

namespace {

thread_local bool grad_is_enabled = true;

}  // namespace

bool grad_enabled() noexcept { return grad_is_enabled; }

NoGradGuard::NoGradGuard() noexcept : previous_(grad_is_enabled) { grad_is_enabled = false; }

NoGradGuard::~NoGradGuard() { grad_is_enabled = previous_; }

}  // namespace halnorm::HALNORM_ABI
