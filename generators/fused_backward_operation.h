#pragma once

#include "backward_operation.h"

namespace halnorm {

/// The base of the backward passes through y = relu(batch_norm(x) + addend). The outputs are dx and
/// daddend, with x's shape, and dweight and dbias, (c). One pass writes dx and daddend. On CPUs
/// they are two functions in the same loops; on devices they are one function of two values,
/// because two functions would be two launches.
template <class Derived>
class FusedBackwardOperation : public BackwardOperation<Derived> {
 protected:
  void add_outputs() {
    const Halide::Type data = this->data_type();
    if (on_device()) {
      both_ = this->template add_output<Halide::Func>(
          "gradient", std::vector<Halide::Type>{data, data}, this->rank());
    } else {
      dx_ = this->template add_output<AnyBuffer>("dx", data, this->rank());
      daddend_ = this->template add_output<AnyBuffer>("daddend", data, this->rank());
    }
    dweight_ = this->template add_output<AnyBuffer>("dweight", this->gradient_type(), 1);
    dbias_ = this->template add_output<AnyBuffer>("dbias", this->gradient_type(), 1);
  }

  /// Defines the outputs from `g` and `rectified`.
  void give_outputs(algorithm::InputGradient& g, const algorithm::Rectified& rectified,
                    const algorithm::GradientSums& sums, const Halide::Func& invstd) {
    g.dx = this->stored(g.dx);
    const Halide::Func daddend = this->stored(rectified.daddend);
    if (on_device()) {
      g.dx = algorithm::with_daddend(g.dx, daddend);
      *both_ = g.dx;
    } else {
      g.daddend = daddend;
      *dx_ = g.dx;
      *daddend_ = g.daddend;
    }
    this->give_gradients(sums, invstd, *dweight_, *dbias_);
  }

  /// Sets extents and strides of the outputs, and returns those with one value per channel.
  template <class X>
  [[nodiscard]] schedule::PerChannel outputs_like(const X& x) {
    if (on_device()) {
      Halide::Func both = *both_;
      std::vector<Halide::OutputImageParam> buffers = both.output_buffers();
      this->like(buffers[0], x);
      this->note_strides(buffers[1]);  // it has the extents of the first one
    } else {
      this->like(*dx_, x);
      this->like(*daddend_, x);
    }
    return this->gradients(*dweight_, *dbias_, x);
  }

 private:
  using AnyBuffer = Halide::Buffer<>;

  [[nodiscard]] bool on_device() const { return this->get_target().has_gpu_feature(); }

  Halide::GeneratorOutput<Halide::Func>* both_ = nullptr;
  Halide::GeneratorOutput<AnyBuffer>*dx_ = nullptr, *daddend_ = nullptr;
  Halide::GeneratorOutput<AnyBuffer>*dweight_ = nullptr, *dbias_ = nullptr;
};

}  // namespace halnorm
