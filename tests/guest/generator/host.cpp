#include <Halide.h>

namespace {

/// A host's own pipeline: y = 2 x + 1. It runs in parallel, has a temporary and is traced, so that
/// it calls the parallel-for, the allocator and the tracer of its Halide runtime.
class Host : public Halide::Generator<Host> {
 public:
  Input<Buffer<float, 2>> x{"x"};
  Output<Buffer<float, 2>> y{"y"};

  void generate() {
    doubled_(column_, row_) = 2 * x(column_, row_);
    y(column_, row_) = doubled_(column_, row_) + 1;
  }

  void schedule() {
    x.dim(0).set_stride(Halide::Expr());  // tensors of any strides
    doubled_.compute_root();
    y.parallel(row_).trace_realizations();
  }

 private:
  Halide::Var column_{"column"}, row_{"row"};
  Halide::Func doubled_{"doubled"};
};

}  // namespace

HALIDE_REGISTER_GENERATOR(Host, host)
