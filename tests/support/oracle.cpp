#include "support/oracle.h"

#include <cmath>

namespace oracle {

namespace {

/// Calls visit(channel, index) for every element of the batch.
template <class Visit>
void for_each(const Batch& x, Visit visit) {
  for (std::int64_t n = 0; n < x.n; ++n) {
    for (std::int64_t c = 0; c < x.c; ++c) {
      for (std::int64_t l = 0; l < x.l; ++l) {
        visit(static_cast<std::size_t>(c), x.index(n, c, l));
      }
    }
  }
}

/// dbias = sum(dy) and dweight = sum(dy * xhat); dx holds xhat, which the caller overwrites.
Gradients parameter_gradients(const Batch& dy, const Batch& x, const Values& mean,
                              const Values& invstd) {
  const auto channels = static_cast<std::size_t>(x.c);
  Gradients result{Values(x.values.size()), Values(channels, 0), Values(channels, 0)};
  for_each(x, [&](std::size_t c, std::size_t i) {
    const Real xhat = (Real{x.values[i]} - mean[c]) * invstd[c];
    result.dx[i] = xhat;
    result.dbias[c] += dy.values[i];
    result.dweight[c] += dy.values[i] * xhat;
  });
  return result;
}

/// The product per channel, because an operation on a Real may be slow.
Values product_of(Values a, const Values& b) {
  for (std::size_t c = 0; c < a.size(); ++c) {
    a[c] = a[c] * b[c];
  }
  return a;
}

Values quotient_of(Values a, const Real& b) {
  for (Real& value : a) {
    value /= b;
  }
  return a;
}

}  // namespace

Values invstd_of(const Values& variance, double eps) {
  Values result;
  for (const Real v : variance) {
    result.push_back(1 / root_of(v + Real{eps}));
  }
  return result;
}

Values Statistics::biased_variance() const { return quotient_of(m2, static_cast<Real>(count)); }

Values Statistics::invstd(double eps) const { return invstd_of(biased_variance(), eps); }

Statistics statistics(const Batch& x) {
  const auto channels = static_cast<std::size_t>(x.c);
  Statistics result{x.per_channel(), Values(channels, 0), Values(channels, 0)};
  for_each(x, [&](std::size_t c, std::size_t i) { result.mean[c] += x.values[i]; });
  for (Real& mean : result.mean) {
    mean /= static_cast<Real>(result.count);
  }
  for_each(x, [&](std::size_t c, std::size_t i) {
    const Real deviation = Real{x.values[i]} - result.mean[c];
    result.m2[c] += deviation * deviation;
  });
  return result;
}

Values normalize(const Batch& x, const Values& mean, const Values& invstd, const Values& weight,
                 const Values& bias) {
  Values y(x.values.size());
  const Values scale = product_of(invstd, weight);
  for_each(x, [&](std::size_t c, std::size_t i) {
    y[i] = (Real{x.values[i]} - mean[c]) * scale[c] + bias[c];
  });
  return y;
}

Values train(const Batch& x, const Values& weight, const Values& bias, double eps) {
  const Statistics batch = statistics(x);
  return normalize(x, batch.mean, batch.invstd(eps), weight, bias);
}

Values infer(const Batch& x, const Running& running, const Values& weight, const Values& bias,
             double eps) {
  return normalize(x, running.mean, invstd_of(running.variance, eps), weight, bias);
}

Gradients backward(const Batch& dy, const Batch& x, const Values& weight, double eps) {
  return backward(dy, x, statistics(x), weight, eps);
}

Gradients backward(const Batch& dy, const Batch& x, const Statistics& batch, const Values& weight,
                   double eps) {
  const Values invstd = batch.invstd(eps);
  Gradients result = parameter_gradients(dy, x, batch.mean, invstd);
  const auto count = static_cast<Real>(batch.count);
  const Values mean_dy = quotient_of(result.dbias, count);
  const Values mean_dy_xhat = quotient_of(result.dweight, count);
  const Values scale = product_of(invstd, weight);
  for_each(x, [&](std::size_t c, std::size_t i) {
    const Real xhat = result.dx[i];
    result.dx[i] = scale[c] * (Real{dy.values[i]} - mean_dy[c] - xhat * mean_dy_xhat[c]);
  });
  return result;
}

Gradients backward_infer(const Batch& dy, const Batch& x, const Running& running,
                         const Values& weight, double eps) {
  const Values invstd = invstd_of(running.variance, eps);
  Gradients result = parameter_gradients(dy, x, running.mean, invstd);
  const Values scale = product_of(invstd, weight);
  for_each(x, [&](std::size_t c, std::size_t i) { result.dx[i] = scale[c] * dy.values[i]; });
  return result;
}

Running updated(const Running& running, const Statistics& batch, double factor) {
  Running result = running;
  const Real f = factor;
  for (std::size_t c = 0; c < result.mean.size(); ++c) {
    const Real unbiased = batch.m2[c] / static_cast<Real>(batch.count - 1);
    result.mean[c] = (1 - f) * running.mean[c] + f * batch.mean[c];
    result.variance[c] = (1 - f) * running.variance[c] + f * unbiased;
  }
  return result;
}

}  // namespace oracle
