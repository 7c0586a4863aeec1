#include <Halide.h>

/// A host's own pipeline: y = 2 x + 1. It runs in parallel, has a temporary and is traced, so that
/// it calls the parallel-for, the allocator and the tracer of its Halide runtime.
class Host : public Halide::Generator<Host> {
 public:
  Input<Buffer<float, 2>> x{"x"};
  Output<Buffer<float, 2>> y{"y"};

  void generate() {
    doubled(column, row) = 2 * x(column, row);
    y(column, row) = doubled(column, row) + 1;
  }

  void schedule() {
    x.dim(0).set_stride(Halide::Expr());  // tensors of any strides
    doubled.compute_root();
    y.parallel(row).trace_realizations();
  }

 private:
  Halide::Var column{"column"}, row{"row"};
  Halide::Func doubled{"doubled"};
};

HALIDE_REGISTER_GENERATOR(Host, host)
