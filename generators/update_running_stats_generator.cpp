#include "algorithm/running_stats.h"
#include "operation.h"

namespace {

using namespace Halide;
namespace algorithm = halnorm::algorithm;

/// running = (1 - factor) * running + factor * batch; the outputs may be the inputs themselves.
class UpdateRunningStats : public halnorm::Operation<UpdateRunningStats> {
 public:
  Input<Buffer<>> running_mean{"running_mean"};  ///< (c)
  Input<Buffer<>> running_var{"running_var"};    ///< (c)
  Input<Buffer<double, 1>> mean{"mean"};         ///< (c): of the batch
  Input<Buffer<double, 1>> m2{"m2"};             ///< (c): the batch's sum of squared deviations
  Input<double> count{"count"};                  ///< values per channel in the batch, at least 2
  Input<double> factor{"factor"};                ///< the weight of the batch

  Output<Buffer<>> new_running_mean{"new_running_mean"};  ///< (c)
  Output<Buffer<>> new_running_var{"new_running_var"};    ///< (c)

  void configure() { is_parameter(running_mean, running_var, new_running_mean, new_running_var); }

  void generate() {
    const algorithm::RunningStats r =
        algorithm::running_stats(running_mean, running_var, mean, m2, count, factor);
    new_running_mean = r.mean;
    new_running_var = r.var;
  }

  void schedule() {
    const Expr channels = running_mean.dim(0).extent();
    running_mean.dim(0).set_min(0).set_estimate(0, estimate_c);
    running_var.dim(0).set_min(0).set_extent(channels).set_estimate(0, estimate_c);
    for (auto* b : {&mean, &m2}) {
      b->dim(0).set_min(0).set_extent(channels).set_estimate(0, estimate_c);
    }
    for (auto* b : {&new_running_mean, &new_running_var}) {
      b->dim(0).set_min(0).set_extent(channels).set_estimate(0, estimate_c);
    }
    count.set_estimate(estimate_l * estimate_n);
    factor.set_estimate(0.1);
    architecture()->per_channel({new_running_mean, new_running_var});
  }
};

}  // namespace

HALIDE_REGISTER_GENERATOR(UpdateRunningStats, update_running_stats)
