#include "c_api/forward_backward.h"

namespace halnorm::HALNORM_ABI::c_api {

TrainTensors train_tensors(Call& call, const TrainArguments& given) {
  TrainTensors t;
  t.x = required(call, "x", given.x);
  t.addend = optional(call, "addend", given.addend);
  t.weight = optional(call, "weight", given.weight);
  t.bias = optional(call, "bias", given.bias);
  t.running = optional_running(call, given.running_mean, given.running_var);
  t.y = required(call, "y", given.y);
  t.mean = statistic_output(call, "mean", given.mean, channels_of(t.x));
  t.invstd = statistic_output(call, "invstd", given.invstd, channels_of(t.x));
  check_apart(call, {{"y", t.y},
                     {"running_mean", t.running.mean},
                     {"running_var", t.running.var},
                     {"mean", t.mean},
                     {"invstd", t.invstd}});
  return t;
}

BackwardTensors backward_tensors(Call& call, const BackwardArguments& given) {
  BackwardTensors t;
  t.dy = required(call, "dy", given.dy);
  t.x = required(call, "x", given.x);
  if (given.is_fused) {
    t.y = required(call, "y", given.y);
  }
  t.weight = optional(call, "weight", given.weight);
  t.dx = optional(call, "dx", given.dx);
  t.daddend = data_output(call, "daddend", given.daddend, t.x);
  t.dweight = gradient_output(call, "dweight", given.dweight, t.x, t.weight);
  t.dbias = gradient_output(call, "dbias", given.dbias, t.x, t.weight);
  if (given.is_fused) {
    check_any_apart(
        call, {{"dx", t.dx}, {"daddend", t.daddend}, {"dweight", t.dweight}, {"dbias", t.dbias}});
  } else {
    check_any_apart(call, {{"dx", t.dx}, {"dweight", t.dweight}, {"dbias", t.dbias}});
  }
  return t;
}

}  // namespace halnorm::HALNORM_ABI::c_api
