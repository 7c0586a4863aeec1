#include "halnorm/nn/fused_batch_norm.h"

#include <typeinfo>

#include "base/format.h"
#include "functional/arguments/check.h"
#include "functional/fused_functions.h"
#include "halnorm/grad_mode.h"
#include "nn/batch_norm/layer_call.h"
#include "nn/module/output_copy.h"

namespace halnorm::HALNORM_ABI::nn {

namespace {

constexpr detail::FusedFunctions functions{
    .train = halnorm::detail::fused_train,
    .infer = halnorm::detail::fused_infer,
    .backward = &functional::batch_norm_fused_backward,
    .backward_infer = &functional::batch_norm_fused_backward_infer,
    .relu_backward = &functional::relu_backward,
};

}  // namespace

FusedBatchNorm::FusedBatchNorm(const char* class_name, std::int64_t num_features,
                               const BatchNormOptions& options, double slope)
    : BatchNorm(class_name, num_features, options), slope_(slope) {
  halnorm::detail::check_slope(class_name, slope);
}

void FusedBatchNorm::set_slope(double slope) {
  halnorm::detail::check_slope((name() + ".set_slope").c_str(), slope);
  slope_ = slope;
}

std::string FusedBatchNorm::extra_repr() const {
  const std::string plain = BatchNorm::extra_repr();
  return slope_ == 0 ? plain : plain + ", slope=" + halnorm::detail::python_float(slope_);
}

std::vector<std::string_view> FusedBatchNorm::attribute_names() const {
  auto names = BatchNorm::attribute_names();
  names.insert(names.end(), {"slope", "set_slope", "backward_fused"});
  return names;
}

void FusedBatchNorm::copy_settings(const Module& source) {
  BatchNorm::copy_settings(source);
  slope_ = dynamic_cast<const FusedBatchNorm&>(source).slope_;
}

Tensor FusedBatchNorm::operator()(const Tensor& x, const Tensor& addend, const Tensor& out) {
  return call(x, [&](const Tensor& input) { return forward_into(input, addend, out); });
}

Tensor FusedBatchNorm::operator()(const Tensor& x, const Tensor& addend, const Tensor& out) const {
  check_all_in_eval();
  const NoGradGuard guard;
  return const_cast<FusedBatchNorm&>(*this)(x, addend, out);
}

Tensor FusedBatchNorm::forward_into(const Tensor& x, const Tensor& addend, const Tensor& out) {
  const auto of = [this](const Tensor& input, const Tensor& added) {
    return added.defined() ? forward(input, added) : forward(input);
  };
  if (!out.defined()) {
    return of(x, addend);
  }
  const std::type_info& type = typeid(*this);
  if (type == typeid(FusedBatchNorm1d) || type == typeid(FusedBatchNorm2d) ||
      type == typeid(FusedBatchNorm3d)) {
    return detail::LayerCall(*this).forward(
        x, out, {.fused = &functions, .addend = addend, .slope = slope_});
  }
  if (x.defined()) {
    halnorm::detail::check_out("FusedBatchNorm::operator()", out, x, {&x});
  }
  return copied_into(out, of(apart_from(out, x), apart_from(out, addend)));
}

Tensor FusedBatchNorm::forward(const Tensor& x) { return forward(x, Tensor()); }

Tensor FusedBatchNorm::forward(const Tensor& x, const Tensor& addend) {
  return detail::LayerCall(*this).forward(x, Tensor(),
                                          {.fused = &functions, .addend = addend, .slope = slope_});
}

Tensor FusedBatchNorm::forward_into(const Tensor& x, const Tensor& out) {
  return forward_into(x, Tensor(), out);
}

FusedGradients FusedBatchNorm::backward_fused(const Tensor& grad_output) {
  InputGradients gradients = differentiate_latest(grad_output);
  return {std::move(gradients.dx), std::move(gradients.daddend)};
}

FusedBatchNorm1d::FusedBatchNorm1d(std::int64_t num_features, const BatchNormOptions& options,
                                   double slope)
    : Typed("FusedBatchNorm1d", num_features, options, slope) {}

void FusedBatchNorm1d::check_input_dim(const Tensor& x) const { check_rank(x, 2, 3); }

std::shared_ptr<Module> FusedBatchNorm1d::new_instance() const {
  return std::make_shared<FusedBatchNorm1d>(num_features(), options(), slope());
}

FusedBatchNorm2d::FusedBatchNorm2d(std::int64_t num_features, const BatchNormOptions& options,
                                   double slope)
    : Typed("FusedBatchNorm2d", num_features, options, slope) {}

void FusedBatchNorm2d::check_input_dim(const Tensor& x) const { check_rank(x, 4, 4); }

std::shared_ptr<Module> FusedBatchNorm2d::new_instance() const {
  return std::make_shared<FusedBatchNorm2d>(num_features(), options(), slope());
}

FusedBatchNorm3d::FusedBatchNorm3d(std::int64_t num_features, const BatchNormOptions& options,
                                   double slope)
    : Typed("FusedBatchNorm3d", num_features, options, slope) {}

void FusedBatchNorm3d::check_input_dim(const Tensor& x) const { check_rank(x, 5, 5); }

std::shared_ptr<Module> FusedBatchNorm3d::new_instance() const {
  return std::make_shared<FusedBatchNorm3d>(num_features(), options(), slope());
}

}  // namespace halnorm::HALNORM_ABI::nn
