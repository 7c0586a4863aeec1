// oneDNN's batch normalization on the same shapes, buffers and threads. Tensors are described as
// (N, C, 1, L): in four dimensions oneDNN takes its generated code, in three its reference code.

#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <unordered_map>

#include "../suite/measure.h"
#include "../suite/suite.h"

// The OpenMP runtime that oneDNN runs on has this function; only some compilers have its header.
extern "C" void omp_set_num_threads(int threads);

namespace halnorm::bench {
namespace {

/// oneDNN sums in float32; this only has to catch a wrong operation, layout or argument.
double tolerance_of(DType dtype) { return 1e-3 + 4 * rounding_of(dtype); }

using dnnl::memory;
using dnnl::normalization_flags;
using dnnl::prop_kind;
using Arguments = std::unordered_map<int, memory>;

memory::data_type data_type_of(DType dtype) {
  return dtype == DType::BFloat16 ? memory::data_type::bf16 : memory::data_type::f32;
}

/// oneDNN's engine and one case's memory. scale_shift holds weight, then bias.
struct Peer {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  memory::desc data;
  std::int64_t count;
  Tensor mean, variance, scale_shift, diff_scale_shift;
  Arguments arguments;

  Peer(const Problem& problem, const Case& item)
      : data({item.shape.n, item.shape.c, 1, item.shape.l}, data_type_of(item.dtype),
             item.layout == Layout::Ncl ? memory::format_tag::nchw : memory::format_tag::nhwc),
        count(item.shape.c),
        mean(Tensor::zeros({count})),
        variance(Tensor::zeros({count})),
        scale_shift(Tensor::zeros({2, count})),
        diff_scale_shift(Tensor::zeros({2, count})) {
    scale_shift.narrow(0, 0, 1).reshape({count}).copy_(problem.weight);
    scale_shift.narrow(0, 1, 1).reshape({count}).copy_(problem.bias);
  }

  [[nodiscard]] memory tensor(const Tensor& t) const { return {data, engine, t.raw_data()}; }

  [[nodiscard]] memory channels(const Tensor& t) const {
    const auto tag = t.dim() == 1 ? memory::format_tag::x : memory::format_tag::nc;
    return {{t.shape(), memory::data_type::f32, tag}, engine, t.raw_data()};
  }

  void run(const dnnl::primitive& primitive) {
    primitive.execute(stream, arguments);
    stream.wait();
  }
};

dnnl::batch_normalization_forward::primitive_desc forward_description(const Peer& peer,
                                                                      bool infer) {
  const auto kind = infer ? prop_kind::forward_inference : prop_kind::forward_training;
  auto flags = normalization_flags::use_scale_shift;
  if (infer) flags = flags | normalization_flags::use_global_stats;
  return {{kind, peer.data, static_cast<float>(eps), flags}, peer.engine};
}

/// A primitive for which the peer has the arguments.
struct Prepared {
  dnnl::primitive primitive;
  std::string implementation;
};

Prepared prepare_forward(Peer& peer, const Problem& problem, bool infer) {
  peer.arguments = {
      {DNNL_ARG_SRC, peer.tensor(problem.x)},
      {DNNL_ARG_DST, peer.tensor(problem.out)},
      {DNNL_ARG_SCALE_SHIFT, peer.channels(peer.scale_shift)},
      {DNNL_ARG_MEAN, peer.channels(infer ? problem.running_mean : peer.mean)},
      {DNNL_ARG_VARIANCE, peer.channels(infer ? problem.running_var : peer.variance)}};
  const auto description = forward_description(peer, infer);
  return {dnnl::batch_normalization_forward(description), description.impl_info_str()};
}

/// Runs the forward, of which it takes the statistics.
Prepared prepare_backward(Peer& peer, Problem& problem) {
  peer.run(prepare_forward(peer, problem, false).primitive);
  problem.spoil();
  const dnnl::batch_normalization_backward::primitive_desc description(
      {prop_kind::backward, peer.data, peer.data, static_cast<float>(eps),
       normalization_flags::use_scale_shift},
      peer.engine, forward_description(peer, false));
  peer.arguments.erase(DNNL_ARG_DST);
  peer.arguments.insert({{DNNL_ARG_DIFF_DST, peer.tensor(problem.dy)},
                         {DNNL_ARG_DIFF_SRC, peer.tensor(problem.out)},
                         {DNNL_ARG_DIFF_SCALE_SHIFT, peer.channels(peer.diff_scale_shift)}});
  return {dnnl::batch_normalization_backward(description), description.impl_info_str()};
}

void run_onednn(benchmark::State& state, const Case& item, Problem& problem) {
  omp_set_num_threads(item.threads);
  problem.spoil();
  Peer peer(problem, item);
  const bool infer = item.info.name == "infer";
  const bool backward = item.info.name == "backward";
  const Prepared call =
      backward ? prepare_backward(peer, problem) : prepare_forward(peer, problem, infer);
  peer.run(call.primitive);
  const Check check{item.layout, tolerance_of(item.dtype)};
  if (backward) {
    const Tensor& gradients = peer.diff_scale_shift;
    problem.verify_gradients(check, gradients.narrow(0, 0, 1), gradients.narrow(0, 1, 1));
    problem.verify_dx(check);
  } else {
    problem.verify_y(check, infer);
  }
  measure(state, [&] { peer.run(call.primitive); });
  state.SetLabel(call.implementation);
}

}  // namespace
}  // namespace halnorm::bench

int main(int argc, char** argv) {
  using namespace halnorm::bench;
  const dnnl_version_t* version = dnnl_version();
  benchmark::AddCustomContext("onednn_version", std::to_string(version->major) + "." +
                                                    std::to_string(version->minor) + "." +
                                                    std::to_string(version->patch));
  const auto has = [](const Case& item) {
    const bool bf16 =
        item.dtype == halnorm::DType::BFloat16 && __builtin_cpu_supports("avx512bw") != 0;
    return item.info.group == "plain" && (bf16 || item.dtype == halnorm::DType::Float32);
  };
  return run_program(argc, argv, {{"onednn", run_onednn, has}});
}
