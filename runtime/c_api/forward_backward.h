#pragma once

#include "c_api/outputs.h"
#include "halnorm/functional.h"

/// @file
/// The path of a forward and of a backward, the same for a plain function and its fused one. The
/// called C++ function is an argument: a program that calls no fused function links no kernel of
/// one.

namespace halnorm::HALNORM_ABI::c_api {

struct InferArguments {
  const DLTensor *x, *addend, *running_mean, *running_var, *weight, *bias, *y;
};

/// run(x, addend, running_mean, running_var, weight, bias, y).
template <class Run>
halnorm_status infer(const char* function, const InferArguments& a, Run run) noexcept {
  Call call{.function = function};
  return guarded_with_tensors(call, [&] {
    run(required(call, "x", a.x), optional(call, "addend", a.addend),
        required(call, "running_mean", a.running_mean),
        required(call, "running_var", a.running_var), optional(call, "weight", a.weight),
        optional(call, "bias", a.bias), required(call, "y", a.y));
  });
}

struct TrainArguments {
  const DLTensor *x, *addend, *weight, *bias, *running_mean, *running_var, *y, *mean, *invstd;
};

struct TrainTensors {
  Tensor x, addend, weight, bias;
  RunningStats running;
  Tensor y, mean, invstd;
};

TrainTensors train_tensors(Call& call, const TrainArguments& given);

/// run(tensors) returns a BatchNormForward.
template <class Run>
halnorm_status train(const char* function, const TrainArguments& given, Run run) noexcept {
  Call call{.function = function};
  return guarded_with_tensors(call, [&] {
    const TrainTensors t = train_tensors(call, given);
    const functional::BatchNormForward r = run(t);
    store(r.mean, t.mean);
    store(r.invstd, t.invstd);
  });
}

/// y and daddend belong to fused functions, which require y.
struct BackwardArguments {
  const DLTensor *dy, *x, *weight, *dx, *dweight, *dbias;
  const DLTensor *y = nullptr, *daddend = nullptr;
  bool is_fused = false;
};

struct BackwardTensors {
  Tensor dy, x, y, weight, dx, daddend, dweight, dbias;
};

BackwardTensors backward_tensors(Call& call, const BackwardArguments& given);

/// run(call, tensors) returns the gradients.
template <class Run>
halnorm_status backward(const char* function, const BackwardArguments& given, Run run) noexcept {
  Call call{.function = function, .output = "dx"};
  return guarded_with_tensors(call, [&] {
    const BackwardTensors t = backward_tensors(call, given);
    const auto r = run(call, t);
    if constexpr (requires { r.daddend; }) {
      store(r.daddend, t.daddend);
    }
    store(r.dweight, t.dweight);
    store(r.dbias, t.dbias);
  });
}

}  // namespace halnorm::HALNORM_ABI::c_api
