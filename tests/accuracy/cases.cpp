#include "cases.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <span>
#include <utility>

#include "halnorm/halnorm.h"
#include "truth.h"

namespace {

namespace F = halnorm::functional;
using accuracy::Batch;
using accuracy::Row;
using accuracy::Truth;
using halnorm::DType;
using halnorm::Tensor;

/// Published errors of other libraries on an input: of y, and of the unbiased variance.
struct Published {
  const char* pytorch_y = "";
  const char* oneflow_y = "";
  const char* pytorch_var = "";
  const char* oneflow_var = "";
};

/// The errors of a call.
struct Errors {
  double y = 0, dx = 0, dweight = 0, variance = 0, mean = 0;
};

/// The values as the dtype holds them, so that the truth starts from the same values.
Batch held(Batch batch, DType dtype) {
  const Tensor all = Tensor::from(std::span<const double>(batch.values),
                                  {static_cast<std::int64_t>(batch.values.size())});
  batch.values = all.to(dtype).to_vector<double>();
  return batch;
}

Batch normal(std::int64_t rows, std::int64_t channels, double mean, double scale, DType dtype) {
  Batch batch{rows, channels,
              Tensor::randn({rows, channels}, 1, DType::Float64).to_vector<double>()};
  for (double& value : batch.values) {
    value = mean + scale * value;
  }
  return held(std::move(batch), dtype);
}

Batch uniform(std::int64_t count) {
  std::uint64_t state = 1;  // a linear congruential generator (Knuth's MMIX): its upper bits
  Batch batch{count, 1, std::vector<double>(static_cast<std::size_t>(count))};
  for (double& value : batch.values) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    value = static_cast<double>(state >> 40) * 0x1p-24;
  }
  return batch;
}

/// The batch as (N, C), or as (1, C, L).
Tensor tensor_of(const Batch& batch, DType dtype, bool ncl) {
  const Tensor rows =
      Tensor::from(std::span<const double>(batch.values), {batch.rows, batch.channels}).to(dtype);
  return ncl ? rows.transpose(0, 1).contiguous().reshape({1, batch.channels, batch.rows}) : rows;
}

std::vector<double> rows_of(const Tensor& t) {
  return t.dim() == 2 ? t.to_vector<double>()
                      : t.reshape({t.size(1), t.size(2)}).transpose(0, 1).to_vector<double>();
}

/// Calls on every target and in both layouts.
void everywhere(const std::function<void(bool ncl)>& call) {
  for (const std::string& target : halnorm::targets()) {
    halnorm::force_target(target);
    call(false);
    call(true);
  }
  halnorm::force_target("");
}

Errors errors_of(const Batch& x, DType dtype, double eps) {
  const Batch dy =
      held({x.rows, x.channels,
            Tensor::randn({x.rows, x.channels}, 2, DType::Float64).to_vector<double>()},
           dtype);
  const Truth truth = accuracy::truth_of(x, dy, eps);
  Errors worst;
  const auto keep = [](double& kept, double error) { kept = std::max(kept, error); };
  everywhere([&](bool ncl) {
    const Tensor data = tensor_of(x, dtype, ncl);
    const DType statistics = dtype == DType::Float64 ? dtype : DType::Float32;
    const Tensor mean = Tensor::zeros({x.channels}, statistics);
    const Tensor variance = Tensor::zeros({x.channels}, statistics);
    const auto y = F::batch_norm_train_update(data, mean, variance, {}, {}, 1.0, eps);
    const auto g = F::batch_norm_backward(tensor_of(dy, dtype, ncl), data, {}, y.mean, y.invstd);
    keep(worst.y, accuracy::error_of(rows_of(y.y), truth.y));
    keep(worst.dx, accuracy::error_of(rows_of(g.dx), truth.dx));
    keep(worst.dweight, accuracy::error_of(g.dweight.to_vector<double>(), truth.dweight));
    keep(worst.variance, accuracy::relative_error_of(variance.to_vector<double>(), truth.variance));
  });
  return worst;
}

void add_normal(std::vector<Row>& rows, double mean, DType dtype, const Published& seen) {
  const Errors e = errors_of(normal(1024, 64, mean, 1, dtype), dtype, 1e-5);
  char text[64];
  std::snprintf(text, sizeof text, "%s, mean/std %g", std::string(halnorm::name_of(dtype)).c_str(),
                mean);
  const bool wide = dtype == DType::Float64;
  rows.push_back({text, "y", wide ? 2e-10 : 1e-6, e.y, seen.pytorch_y, seen.oneflow_y});
  rows.push_back(
      {text, "running_var", wide ? 2e-10 : 1e-6, e.variance, seen.pytorch_var, seen.oneflow_var});
  rows.push_back({text, "dx", wide ? 2e-10 : 1e-5, e.dx, "", ""});
  rows.push_back({text, "dweight", wide ? 2e-10 : 1e-5, e.dweight, "", ""});
}

/// Batches as layers see them. Errors are in float32 ulp: of a channel's largest y and dx, of a
/// statistic itself.
void add_ordinary(std::vector<Row>& rows, std::int64_t count, double mean, double mean_bound) {
  const Batch x = normal(count, 256, mean, 1, DType::Float32);
  const Batch dy =
      held({count, 256, Tensor::randn({count, 256}, 2, DType::Float64).to_vector<double>()},
           DType::Float32);
  const Truth truth = accuracy::truth_of(x, dy, 1e-5);
  Errors worst;
  const auto keep = [](double& kept, double error) { kept = std::max(kept, error); };
  everywhere([&](bool ncl) {
    const Tensor data = tensor_of(x, DType::Float32, ncl);
    const Tensor running_mean = Tensor::zeros({256});
    const Tensor running_var = Tensor::zeros({256});
    const auto y = F::batch_norm_train_update(data, running_mean, running_var, {}, {}, 1.0, 1e-5);
    const auto g =
        F::batch_norm_backward(tensor_of(dy, DType::Float32, ncl), data, {}, y.mean, y.invstd);
    keep(worst.y, accuracy::ulps_of(rows_of(y.y), truth.y, 256));
    keep(worst.dx, accuracy::ulps_of(rows_of(g.dx), truth.dx, 256));
    keep(worst.mean, accuracy::ulps_of(running_mean.to_vector<double>(), truth.mean, 256));
    keep(worst.variance, accuracy::ulps_of(running_var.to_vector<double>(), truth.variance, 256));
  });
  char text[64];
  std::snprintf(text, sizeof text, "float32, %d values, mean/std %g, in ulp",
                static_cast<int>(count), mean);
  rows.push_back({text, "y", 2, worst.y, "", ""});
  rows.push_back({text, "dx", count < 24 ? 4.0 : 2.0, worst.dx, "", ""});
  rows.push_back({text, "running_mean", mean_bound, worst.mean, "", ""});
  rows.push_back({text, "running_var", count > 256 ? 2.0 : 1.0, worst.variance, "", ""});
}

/// y is rounded to 16 bits, and nothing else is lost.
void add_narrow(std::vector<Row>& rows, double mean, DType dtype) {
  const Errors e = errors_of(normal(1024, 64, mean, 1, dtype), dtype, 1e-5);
  char text[64];
  std::snprintf(text, sizeof text, "%s, mean/std %g", std::string(halnorm::name_of(dtype)).c_str(),
                mean);
  const double half_step = dtype == DType::Float16 ? 0x1p-11 : 0x1p-8;
  rows.push_back({text, "y", half_step + 1e-6, e.y, "", "not on the CPU"});
  rows.push_back({text, "running_var", 1e-6, e.variance, "", ""});
  rows.push_back({text, "dx", half_step + 1e-5, e.dx, "", ""});
}

void add_uniform(std::vector<Row>& rows) {
  const Batch x = uniform(20'000'000);
  const Truth truth = accuracy::truth_of(x, {}, 0);
  double variance = 0;
  double mean = 0;
  everywhere([&](bool ncl) {
    const auto m = F::batch_norm_moments(tensor_of(x, DType::Float32, ncl));
    const double got = m.m2.item<double>() / (m.count.item<double>() - 1);
    variance = std::max(variance, accuracy::relative_error_of({got}, truth.variance));
    mean = std::max(mean, accuracy::relative_error_of({m.mean.item<double>()}, truth.mean));
  });
  rows.push_back({"float32, 2e7 uniform values", "variance", 1e-6, variance, "0.083348 of 0.08335",
                  "0.0750 of 0.08335"});
  rows.push_back({"float32, 2e7 uniform values", "mean", 1e-6, mean, "0.499907 of 0.49991",
                  "0.49985 of 0.49991"});
}

void add_scaled(std::vector<Row>& rows, double scale, const char* pytorch, const char* oneflow) {
  const Batch x = normal(1024, 4, 0, scale, DType::Float32);
  const Errors e = errors_of(x, DType::Float32, scale < 1 ? 0 : 1e-5);
  char text[64];
  std::snprintf(text, sizeof text, "float32, values of %g", scale);
  rows.push_back({text, "y", 1e-6, e.y, pytorch, oneflow});
}

void add_constant(std::vector<Row>& rows) {
  const Batch x = held({256, 4, std::vector<double>(1024, 10000.0 / 3)}, DType::Float32);
  double y = 0;
  double dx_of_ones = 0;
  double dx = 0;
  double variance = 0;
  everywhere([&](bool ncl) {
    const Tensor data = tensor_of(x, DType::Float32, ncl);
    const auto f = F::batch_norm_train(data, {}, Tensor::full({4}, 0.25), 1e-5);
    // A gradient that is the same everywhere cancels; dx is relative to the magnitude of its terms.
    const auto worst_dx = [&](double same) {
      const Batch dy{256, 4, std::vector<double>(1024, same)};
      const auto g =
          F::batch_norm_backward(tensor_of(dy, DType::Float32, ncl), data, {}, f.mean, f.invstd);
      double worst = 0;
      for (const double value : rows_of(g.dx)) {
        worst = std::max(worst, std::fabs(value) / (same * f.invstd.to_vector<double>()[0]));
      }
      return worst;
    };
    dx_of_ones = std::max(dx_of_ones, worst_dx(1.0));
    dx = std::max(dx, worst_dx(0.7));
    for (const double value : rows_of(f.y)) {
      y = std::max(y, std::fabs(value - 0.25));
    }
    for (const double value : F::batch_norm_moments(data).m2.to_vector<double>()) {
      variance = std::max(variance, std::fabs(value));
    }
  });
  const char* text = "float32, constant channel of 10000/3";
  rows.push_back({text, "y - bias", 0, y, "-0.66", "6e-4"});
  rows.push_back({text, "variance", 0, variance, "", "running_var 8.0 of 0.9"});
  rows.push_back({text, "dx, where dy is 1 everywhere", 0, dx_of_ones, "", ""});
  rows.push_back({text, "dx, where dy is 0.7 everywhere", 1e-6, dx, "", ""});
}

/// Bytes of the other channels that change when one channel holds something that is no number.
void add_bad_channel(std::vector<Row>& rows, double bad, const char* name) {
  Batch x = normal(256, 5, 1e2, 1, DType::Float32);
  Batch spoiled = x;
  spoiled.values[2] = bad;
  double changed = 0;
  everywhere([&](bool ncl) {
    const auto clean = F::batch_norm_train(tensor_of(x, DType::Float32, ncl), {}, {}, 1e-5);
    const auto other = F::batch_norm_train(tensor_of(spoiled, DType::Float32, ncl), {}, {}, 1e-5);
    const std::vector<double> before = rows_of(clean.y);
    const std::vector<double> after = rows_of(other.y);
    for (std::size_t i = 0; i < before.size(); ++i) {
      const bool differs =
          std::bit_cast<std::uint64_t>(before[i]) != std::bit_cast<std::uint64_t>(after[i]);
      changed += i % 5 != 2 && differs ? 1 : 0;
    }
  });
  rows.push_back({std::string("float32, ") + name + " in one channel", "other values that change",
                  0, changed, "0", "0"});
}

/// The smallest variance of channels for which other formulas give a negative one.
void add_variances(std::vector<Row>& rows) {
  double least = HUGE_VAL;
  for (const DType dtype : {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64}) {
    for (const double mean : {2e3, 1e4, 3e4}) {
      for (const double scale : {0.0, 1e-3, 1.0}) {
        const Batch x = normal(300, 4, mean, scale, dtype);
        everywhere([&](bool ncl) {
          const auto m2 = F::batch_norm_moments(tensor_of(x, dtype, ncl)).m2.to_vector<double>();
          least = std::min(least, *std::min_element(m2.begin(), m2.end()));
        });
      }
    }
  }
  rows.push_back({"all dtypes, mean/std up to infinite", "how far a variance is negative", 0,
                  std::max(0.0, -least), "0", "-1.5 at 2e3, -6.3 at 1e4"});
}

}  // namespace

namespace accuracy {

std::vector<Row> all_rows() {
  std::vector<Row> rows;
  add_normal(rows, 0, DType::Float32, {"1e-7", "4e-7", "", ""});
  add_normal(rows, 1e2, DType::Float32, {"3e-5", "3e-3", "", ""});
  add_normal(rows, 1e4, DType::Float32, {"3.4e-3", "2.7, or NaN", "0.9706", "72, or negative"});
  add_normal(rows, 1e6, DType::Float32, {"0.075", "", "0.9741", "-7.3e6"});
  // Up to 256 values sums are double. Beyond, the error of a mean is 2^-26 of the deviation.
  for (const std::int64_t count : {8, 32, 256}) {
    add_ordinary(rows, count, 0.1, 1);
  }
  for (const std::int64_t count : {1000, 8192}) {
    add_ordinary(rows, count, 1, 1);
  }
  add_uniform(rows);
  add_scaled(rows, 1e30, "0 at 1e20", "NaN above 1e19");
  add_scaled(rows, 1e-30, "", "");
  add_constant(rows);
  add_bad_channel(rows, std::nan(""), "NaN");
  add_bad_channel(rows, HUGE_VAL, "inf");
  add_variances(rows);
  for (const DType dtype : {DType::Float16, DType::BFloat16}) {
    add_narrow(rows, 0, dtype);
    add_narrow(rows, 1e2, dtype);
  }
  add_normal(rows, 1e4, DType::Float64, {"", "", "1e-12", "2e-8 to 5e-8"});
  add_normal(rows, 1e6, DType::Float64, {"", "", "8e-10", "1e-3"});
  return rows;
}

}  // namespace accuracy
