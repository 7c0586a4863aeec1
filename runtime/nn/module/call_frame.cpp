#include "nn/module/call_frame.h"

#include <exception>
#include <typeinfo>

#include "halnorm/error.h"
#include "halnorm/nn/module.h"

namespace halnorm::HALNORM_ABI::nn {

namespace {

thread_local constinit CallFrame* current_frame = nullptr;

/// A type derived from E by somebody else cannot be rebuilt, so it goes on as it is.
template <class E>
[[noreturn]] void relay(const E& error, const std::string& path) {
  if (typeid(error) != typeid(E) || path.empty()) {
    throw;
  }
  throw E(path + ": " + error.what());
}

/// The name of a module within another, "" if it is not below it.
std::string name_below(const Module& parent, const Module& module) {
  for (const auto& [name, child] : parent.named_children()) {
    if (child == &module) {
      return name;
    }
  }
  for (const auto& [name, below] : parent.named_modules()) {
    if (below == &module) {
      return name;
    }
  }
  return {};
}

}  // namespace

CallFrame::CallFrame(const Module& module)
    : module_(module),
      caller_(current_frame),
      depth_(current_frame == nullptr ? 1 : current_frame->depth_ + 1) {
  if (depth_ > max_depth) {
    throw Error(module.name() + ": got a call within " + std::to_string(max_depth) +
                " calls of modules, wanted fewer (does a module call itself?)");
  }
  current_frame = this;
}

CallFrame::~CallFrame() { current_frame = caller_; }

std::string CallFrame::path() const {
  std::string path;
  for (const CallFrame* frame = this; frame->caller_ != nullptr; frame = frame->caller_) {
    const std::string name = name_below(frame->caller_->module_, frame->module_);
    if (name.empty()) {
      break;  // called by a module it does not belong to: a tree of its own
    }
    path = path.empty() ? name : name + "." + path;
  }
  return path;
}

void CallFrame::rethrow() {
  const std::exception_ptr error = std::current_exception();
  if (caller_ == nullptr) {
    throw;
  }
  if (error == located_) {
    caller_->located_ = error;
    throw;
  }
  try {
    rethrow_with_path(path());
  } catch (const Error&) {
    if (std::current_exception() != error) {
      caller_->located_ = std::current_exception();
    }
    throw;
  }
}

void rethrow_with_path(const std::string& path) {
  try {
    throw;
  } catch (const ShapeError& error) {
    relay(error, path);
  } catch (const DTypeError& error) {
    relay(error, path);
  } catch (const DeviceError& error) {
    relay(error, path);
  } catch (const ValueError& error) {
    relay(error, path);
  } catch (const LoadError& error) {
    relay(error, path);
  } catch (const KernelError& error) {
    relay(error, path);
  } catch (const CommunicationError& error) {
    relay(error, path);
  } catch (const Error& error) {
    relay(error, path);
  }
}

}  // namespace halnorm::HALNORM_ABI::nn
