#pragma once

/// @file
/// The whole C++ interface except for these headers, which are included on their own:
/// halnorm/cuda.h (a host's CUDA context and stream), halnorm/halide.h (tensors as Halide buffers),
/// halnorm/mpi.h and halnorm/nccl.h (ranks connected by MPI or NCCL), halnorm/openmp.h and
/// halnorm/tbb.h (a host's threads), halnorm/halnorm_c.h (the C interface) and
/// halnorm/kernel_runtime.h (settings for programs that call kernels by name).

#include "halnorm/call_report.h"
#include "halnorm/device.h"
#include "halnorm/distributed.h"
#include "halnorm/dtype.h"
#include "halnorm/error.h"
#include "halnorm/explain.h"
#include "halnorm/functional.h"
#include "halnorm/functional_arguments.h"
#include "halnorm/functional_fused.h"
#include "halnorm/grad_mode.h"
#include "halnorm/kernels.h"
#include "halnorm/memory.h"
#include "halnorm/nn/backward_together.h"
#include "halnorm/nn/batch_norm.h"
#include "halnorm/nn/containers.h"
#include "halnorm/nn/formatter.h"
#include "halnorm/nn/fused_batch_norm.h"
#include "halnorm/nn/module.h"
#include "halnorm/nn/sync_batch_norm.h"
#include "halnorm/nn/typed.h"
#include "halnorm/serialize.h"
#include "halnorm/tensor.h"
#include "halnorm/threads.h"
#include "halnorm/version.h"
