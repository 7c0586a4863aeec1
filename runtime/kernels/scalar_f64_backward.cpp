#include "kernels/scalar_f64.h"
#include "kernels/scalar_f64_arguments.h"

namespace halnorm::HALNORM_ABI::detail::scalar_f64 {

namespace {

void take_sums(const Data& dy, const Data& x, std::int64_t c, double mean, double& sum_dy,
               double& sum_dy_xmu) {
  double sum = 0;
  double xmu = 0;
  x.for_each([&](std::int64_t n, std::int64_t l) {
    sum += dy.at(n, c, l);
    xmu += dy.at(n, c, l) * (x.at(n, c, l) - mean);
  });
  sum_dy = sum;
  sum_dy_xmu = xmu;
}

/// The statistics of a channel, and its sums divided by the count.
struct Channel {
  double weight, mean, invstd, mean_dy, mean_dy_xmu;
};

void differentiate(const Data& dy, const Data& x, const Data& dx, std::int64_t c,
                   const Channel& k) {
  const double slope = k.invstd * k.invstd * k.mean_dy_xmu;
  x.for_each([&](std::int64_t n, std::int64_t l) {
    const double centered = dy.at(n, c, l) - k.mean_dy - (x.at(n, c, l) - k.mean) * slope;
    dx.at(n, c, l) = k.weight * k.invstd * centered;
  });
}

void backward_channel(const Data& dy, const Data& x, const Data& dx, std::int64_t c, double weight,
                      double mean, double invstd, double& dweight, double& dbias) {
  double xmu = 0;
  take_sums(dy, x, c, mean, dbias, xmu);
  dweight = xmu * invstd;
  differentiate(dy, x, dx, c, {weight, mean, invstd, dbias / x.count(), xmu / x.count()});
}

void backward_infer_channel(const Data& dy, const Data& x, const Data& dx, std::int64_t c,
                            double weight, double mean, double invstd, double& dweight,
                            double& dbias) {
  double xmu = 0;
  take_sums(dy, x, c, mean, dbias, xmu);
  dweight = xmu * invstd;
  normalize(dy, dx, c, 0, weight * invstd, 0, as_is);
}

}  // namespace

int batch_norm_backward_reduce(void** arguments) {
  Arguments next(arguments);
  const Data dy = next.data();
  const Data x = next.data();
  const Values mean = next.values();
  const Values sum_dy = next.values();
  const Values sum_dy_xmu = next.values();
  for (std::int64_t c = 0; c < x.channels(); ++c) {
    take_sums(dy, x, c, mean[c], sum_dy[c], sum_dy_xmu[c]);
  }
  return 0;
}

int batch_norm_backward_elemt(void** arguments) {
  Arguments next(arguments);
  const Data dy = next.data();
  const Data x = next.data();
  const Values weight = next.values();
  const Values mean = next.values();
  const Values invstd = next.values();
  const Values sum_dy = next.values();
  const Values sum_dy_xmu = next.values();
  const double count = next.number();
  const Data dx = next.data();
  for (std::int64_t c = 0; c < x.channels(); ++c) {
    differentiate(dy, x, dx, c,
                  {weight[c], mean[c], invstd[c], sum_dy[c] / count, sum_dy_xmu[c] / count});
  }
  return 0;
}

int batch_norm_backward(void** arguments) {
  Arguments next(arguments);
  const Data dy = next.data();
  const Data x = next.data();
  const Values weight = next.values();
  const Values mean = next.values();
  const Values invstd = next.values();
  const Data dx = next.data();
  const Values dweight = next.values();
  const Values dbias = next.values();
  for (std::int64_t c = 0; c < x.channels(); ++c) {
    backward_channel(dy, x, dx, c, weight[c], mean[c], invstd[c], dweight[c], dbias[c]);
  }
  return 0;
}

int batch_norm_backward_infer(void** arguments) {
  Arguments next(arguments);
  const Data dy = next.data();
  const Data x = next.data();
  const Values weight = next.values();
  const Values mean = next.values();
  const Values var = next.values();
  const double eps = next.number();
  const Data dx = next.data();
  const Values dweight = next.values();
  const Values dbias = next.values();
  for (std::int64_t c = 0; c < x.channels(); ++c) {
    backward_infer_channel(dy, x, dx, c, weight[c], mean[c], invstd_of(var[c], eps), dweight[c],
                           dbias[c]);
  }
  return 0;
}

int relu_backward(void** arguments) {
  Arguments next(arguments);
  const Data dy = next.data();
  const Data y = next.data();
  const double slope = next.number();
  const Data dx = next.data();
  for (std::int64_t c = 0; c < dy.channels(); ++c) {
    dy.for_each([&](std::int64_t n, std::int64_t l) {
      const double below = slope == 0 ? 0 : slope * dy.at(n, c, l);
      dx.at(n, c, l) = y.at(n, c, l) <= 0 ? below : dy.at(n, c, l);
    });
  }
  return 0;
}

}  // namespace halnorm::HALNORM_ABI::detail::scalar_f64
