#include "support/cases/problem.h"

#include "support/cases/element.h"

Problem::Problem(inputs::Source source, placement::Layout layout, const shapes::Extents& shape,
                 halnorm::DType dtype, double mean)
    : extents(shape),
      x(layout, shape, dtype),
      dy(layout, shape, dtype),
      out(placement::for_output(layout), shape, dtype),
      layer(source, shape.c, mean),
      weight(inputs::channels(layer.weight, element::of_parameters(dtype))),
      bias(inputs::channels(layer.bias, element::of_parameters(dtype))),
      running_mean(inputs::channels(layer.running_mean, element::of_parameters(dtype))),
      running_var(inputs::channels(layer.running_var, element::of_parameters(dtype))) {
  set_x(source.batch(shape, mean));
  set_dy(source.normals(shape.numel()));
}

void Problem::set_x(const std::vector<double>& values) {
  x.assign(values);
  x_values = x.batch();
}

void Problem::set_dy(const std::vector<double>& values) {
  dy.assign(values);
  dy_values = dy.batch();
}
