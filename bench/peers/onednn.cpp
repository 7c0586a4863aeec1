// oneDNN's batch normalization on the same shapes, buffers and threads. Tensors are described as
// (N, C, 1, L): in four dimensions oneDNN takes its generated code, in three its reference code.

#include <algorithm>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "../measure.h"
#include "../suite.h"

// Of the OpenMP runtime that oneDNN runs on; its header comes with only some compilers.
extern "C" void omp_set_num_threads(int threads);

namespace halnorm::bench {
namespace {

/// oneDNN sums in float32; this only has to catch a wrong operation, layout or argument.
double tolerance_of(Element element) { return 1e-3 + 4 * rounding_of(element); }

using dnnl::memory;
using dnnl::normalization_flags;
using dnnl::prop_kind;
using Arguments = std::unordered_map<int, memory>;

memory::data_type data_type_of(Element element) {
  return element == Element::BF16 ? memory::data_type::bf16 : memory::data_type::f32;
}

/// oneDNN's engine and one case's memory. scale_shift holds weight, then bias.
struct Peer {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  memory::desc data;
  FloatBuffer mean, variance, scale_shift, diff_scale_shift;
  Arguments arguments;

  Peer(const Problem& problem, const Case& item)
      : data({item.shape.n, item.shape.c, 1, item.shape.l}, data_type_of(item.element),
             item.layout == Layout::Ncl ? memory::format_tag::nchw : memory::format_tag::nhwc),
        mean(problem.weight.size()),
        variance(mean.size()),
        scale_shift(2 * mean.size()),
        diff_scale_shift(2 * mean.size()) {
    std::copy_n(problem.weight.data(), mean.size(), scale_shift.data());
    std::copy_n(problem.bias.data(), mean.size(), scale_shift.data() + mean.size());
  }

  memory tensor(const DataBuffer& buffer) { return {data, engine, buffer.data()}; }

  memory channels(const FloatBuffer& buffer) {
    const auto size = static_cast<memory::dim>(buffer.size());
    const auto count = static_cast<memory::dim>(mean.size());
    if (size == count) {
      return {{{count}, memory::data_type::f32, memory::format_tag::x}, engine, buffer.data()};
    }
    return {{{2, count}, memory::data_type::f32, memory::format_tag::nc}, engine, buffer.data()};
  }

  void run(const dnnl::primitive& primitive) {
    primitive.execute(stream, arguments);
    stream.wait();
  }
};

dnnl::batch_normalization_forward::primitive_desc forward_description(const Peer& peer,
                                                                      Operation operation) {
  auto kind = prop_kind::forward_training;
  auto flags = normalization_flags::use_scale_shift;
  if (operation == Operation::Infer) {
    kind = prop_kind::forward_inference;
    flags = flags | normalization_flags::use_global_stats;
  }
  return {{kind, peer.data, static_cast<float>(eps), flags}, peer.engine};
}

void run_forward(benchmark::State& state, const Case& item, Problem& problem, Peer& peer) {
  const auto description = forward_description(peer, item.operation);
  const bool infer = item.operation == Operation::Infer;
  peer.arguments = {
      {DNNL_ARG_SRC, peer.tensor(problem.x)},
      {DNNL_ARG_DST, peer.tensor(problem.out)},
      {DNNL_ARG_SCALE_SHIFT, peer.channels(peer.scale_shift)},
      {DNNL_ARG_MEAN, peer.channels(infer ? problem.running_mean : peer.mean)},
      {DNNL_ARG_VARIANCE, peer.channels(infer ? problem.running_var : peer.variance)}};
  const dnnl::batch_normalization_forward primitive(description);
  peer.run(primitive);
  if (infer) {
    problem.verify_infer(item.layout, tolerance_of(item.element));
  } else {
    problem.verify_train(item.layout, tolerance_of(item.element));
  }
  measure(state, [&] { peer.run(primitive); });
  state.SetLabel(description.impl_info_str());
}

void run_backward(benchmark::State& state, const Case& item, Problem& problem, Peer& peer) {
  const auto forward = forward_description(peer, Operation::Train);
  peer.arguments = {{DNNL_ARG_SRC, peer.tensor(problem.x)},
                    {DNNL_ARG_DST, peer.tensor(problem.out)},
                    {DNNL_ARG_SCALE_SHIFT, peer.channels(peer.scale_shift)},
                    {DNNL_ARG_MEAN, peer.channels(peer.mean)},
                    {DNNL_ARG_VARIANCE, peer.channels(peer.variance)}};
  peer.run(dnnl::batch_normalization_forward(forward));
  problem.out.spoil();
  const dnnl::batch_normalization_backward::primitive_desc description(
      {prop_kind::backward, peer.data, peer.data, static_cast<float>(eps),
       normalization_flags::use_scale_shift},
      peer.engine, forward);
  peer.arguments.erase(DNNL_ARG_DST);
  peer.arguments.insert({{DNNL_ARG_DIFF_DST, peer.tensor(problem.dy)},
                         {DNNL_ARG_DIFF_SRC, peer.tensor(problem.out)},
                         {DNNL_ARG_DIFF_SCALE_SHIFT, peer.channels(peer.diff_scale_shift)}});
  const dnnl::batch_normalization_backward primitive(description);
  peer.run(primitive);
  const float* dweight = peer.diff_scale_shift.data();
  problem.verify_backward(item.layout, dweight, dweight + peer.mean.size(),
                          tolerance_of(item.element));
  measure(state, [&] { peer.run(primitive); });
  state.SetLabel(description.impl_info_str());
}

void run_onednn(benchmark::State& state, const Case& item, Problem& problem) {
  omp_set_num_threads(item.threads);
  problem.out.spoil();
  Peer peer(problem, item);
  if (item.operation == Operation::Backward) {
    run_backward(state, item, problem, peer);
  } else {
    run_forward(state, item, problem, peer);
  }
}

}  // namespace
}  // namespace halnorm::bench

int main(int argc, char** argv) {
  using namespace halnorm::bench;
  const dnnl_version_t* version = dnnl_version();
  benchmark::AddCustomContext("onednn_version", std::to_string(version->major) + "." +
                                                    std::to_string(version->minor) + "." +
                                                    std::to_string(version->patch));
  return run_program(argc, argv, {"onednn", run_onednn, nullptr, {Element::F32, Element::BF16}});
}
