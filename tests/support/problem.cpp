#include "support/problem.h"

Problem::Problem(inputs::Source source, placement::Layout layout, const shapes::Extents& shape,
                 halnorm::DType dtype, double mean)
    : extents(shape),
      x(layout, shape, dtype),
      dy(layout, shape, dtype),
      out(placement::for_output(layout), shape, dtype),
      layer(source, shape.c, mean),
      weight(inputs::channels(layer.weight, dtype)),
      bias(inputs::channels(layer.bias, dtype)),
      running_mean(inputs::channels(layer.running_mean, dtype)),
      running_var(inputs::channels(layer.running_var, dtype)) {
  set_x(source.batch(shape, mean));
  dy.assign(source.normals(shape.numel()));
  dy_values = dy.batch();
}

void Problem::set_x(const std::vector<double>& values) {
  x.assign(values);
  x_values = x.batch();
}
