#include "halnorm/explain.h"

#include <algorithm>
#include <array>
#include <string>

#include "functional/arguments/check.h"
#include "functional/arguments/data_view.h"
#include "halnorm/error.h"
#include "plan/plan.h"

namespace halnorm::HALNORM_ABI {

namespace detail {

namespace {

/// The data of a call, as the kernels of one layout see it.
struct Data {
  View x;
  View out;
};

/// A contiguous tensor of x's shape that starts at a cache line, as new tensors of 128 KB do.
View new_output(const View& x) {
  View out = x;
  alignas(line_bytes) static std::byte line_start;
  out.data = &line_start;
  out.stride_c = x.layout == Layout::ncl ? x.L : 1;
  out.stride_n = x.C * x.L;
  out.stride_l = x.layout == Layout::ncl ? 1 : x.C;
  return out;
}

/// An input with x's strides, in other memory than x and than any output.
View like(const View& x) {
  View input = x;
  input.data = nullptr;
  return input;
}

Data data_in(Layout layout, const Tensor& x, const Tensor& out) {
  const auto use_of = [layout](const Tensor& t) {
    return t.defined() ? in_place(t, layout) : InPlace::no;
  };
  const bool in_items = use_of(x) == InPlace::in_items || use_of(out) == InPlace::in_items;
  const View seen = view_of(x, layout, in_items);
  const View given = use_of(x) != InPlace::no ? seen : new_output(seen);
  return {given, use_of(out) != InPlace::no ? view_of(out, layout, in_items) : new_output(given)};
}

/// The arguments of explain(), which are checked.
struct Arguments {
  const Tensor& x;
  const Tensor& out;

  [[nodiscard]] Data for_sums() const { return data_in(layout_of(x), x, out); }
  [[nodiscard]] Data for_elements() const { return data_in(elementwise_layout_of(x), x, out); }
};

constexpr const char* then = ", then ";

std::string plan_of(const auto& operands) {
  return plan_for(machine_of(operands.data().x()), operands).str();
}

/// The epilogue of a fused forward, whose addend is laid out like x.
std::optional<Epilogue> relu_of(bool fused, const View& x) {
  return fused ? std::optional(Epilogue{like(x), 0.0}) : std::nullopt;
}

/// The update of contiguous running statistics in the dtype of x's parameters.
std::string update_of(const View& x) {
  const Channels running{nullptr, parameter_dtype(x.dtype), x.C, 1, x.memory};
  return plan_of(UpdateOperands{.running_mean = running});
}

std::string train_of(const Arguments& a, const TrainRows& rows,
                     const RunningStatistics* running = nullptr) {
  const auto [x, y] = a.for_sums();
  return plan_of(TrainOperands{
      .rows = rows, .x = x, .y = y, .running = running, .relu = relu_of(&rows == &fused_train, x)});
}

/// Training, then the update of running statistics: on a device in the same kernel.
std::string train_update_of(const Arguments& a, const TrainRows& rows) {
  const View x = a.for_sums().x;
  const RunningStatistics running{};
  return x.memory != nullptr ? train_of(a, rows, &running)
                             : train_of(a, rows) + then + update_of(x);
}

std::string infer_of(const Arguments& a, const InferRows& rows) {
  const auto [x, y] = a.for_elements();
  return plan_of(
      InferOperands{.rows = rows, .x = x, .y = y, .relu = relu_of(&rows == &fused_infer, x)});
}

template <class Operands>
std::string backward_of(const Arguments& a, const View& dy) {
  const auto [x, dx] = a.for_sums();
  return plan_of(Operands{.dy = dy, .x = x, .dx = dx});
}

/// The backward of relu, whose output is the dy of the second plan.
template <class Operands>
std::string fused_backward_of(const Arguments& a) {
  const View y = a.for_elements().x;
  return plan_of(ReluBackwardOperands{.dy = like(y), .y = like(y), .dx = new_output(y)}) + then +
         backward_of<Operands>(a, like(new_output(a.for_sums().x)));
}

struct Explained {
  std::string_view function;
  Operation operation;  ///< a build without its kernels refuses the function
  std::string (*plan)(const Arguments& a);
};

constexpr std::array<Explained, 15> functions{{
    {"batch_norm_train", Operation::batch_norm_train,
     [](const Arguments& a) { return train_of(a, plain_train); }},
    {"batch_norm_train_update", Operation::batch_norm_train,
     [](const Arguments& a) { return train_update_of(a, plain_train); }},
    {"batch_norm_infer", Operation::batch_norm_infer,
     [](const Arguments& a) { return infer_of(a, plain_infer); }},
    {"batch_norm_backward", Operation::batch_norm_backward,
     [](const Arguments& a) { return backward_of<BackwardOperands>(a, like(a.for_sums().x)); }},
    {"batch_norm_backward_infer", Operation::batch_norm_backward_infer,
     [](const Arguments& a) {
       return backward_of<BackwardInferOperands>(a, like(a.for_sums().x));
     }},
    {"batch_norm_moments", Operation::batch_norm_moments,
     [](const Arguments& a) { return plan_of(MomentsOperands{.x = a.for_sums().x}); }},
    {"batch_norm_elemt", Operation::batch_norm_elemt,
     [](const Arguments& a) {
       const auto [x, y] = a.for_elements();
       return plan_of(ElemtOperands{.x = x, .y = y});
     }},
    {"batch_norm_backward_reduce", Operation::batch_norm_backward_reduce,
     [](const Arguments& a) {
       const View x = a.for_sums().x;
       return plan_of(ReduceOperands{.dy = like(x), .x = x});
     }},
    {"batch_norm_backward_elemt", Operation::batch_norm_backward_elemt,
     [](const Arguments& a) {
       const auto [x, dx] = a.for_elements();
       return plan_of(BackwardElemtOperands{.dy = like(x), .x = x, .dx = dx});
     }},
    {"batch_norm_fused_train", Operation::batch_norm_fused_train,
     [](const Arguments& a) { return train_of(a, fused_train); }},
    {"batch_norm_fused_train_update", Operation::batch_norm_fused_train,
     [](const Arguments& a) { return train_update_of(a, fused_train); }},
    {"batch_norm_fused_infer", Operation::batch_norm_fused_infer,
     [](const Arguments& a) { return infer_of(a, fused_infer); }},
    {"batch_norm_fused_backward", Operation::relu_backward,
     [](const Arguments& a) { return fused_backward_of<BackwardOperands>(a); }},
    {"batch_norm_fused_backward_infer", Operation::relu_backward,
     [](const Arguments& a) { return fused_backward_of<BackwardInferOperands>(a); }},
    {"update_running_stats", Operation::update_running_stats,
     [](const Arguments& a) { return update_of(a.for_sums().x); }},
}};

const Explained& find_function(std::string_view name) {
  const auto* found = std::find_if(functions.begin(), functions.end(),
                                   [&](const Explained& f) { return f.function == name; });
  if (found == functions.end()) {
    std::string known;
    for (const Explained& f : functions) {
      known += (known.empty() ? "" : ", ") + std::string(f.function);
    }
    throw ValueError("explain: got function '" + std::string(name) + "', wanted one of " + known);
  }
  return *found;
}

}  // namespace

}  // namespace detail

std::string explain(std::string_view function, const Tensor& x, const Tensor& out) {
  const detail::Explained& f = detail::find_function(function);
  const std::string name(function);
  detail::check_linked(name.c_str(), f.operation);
  const detail::Extents e = detail::check_data(name.c_str(), "x", x);
  detail::check_out(name.c_str(), out, x, {});
  return e.numel() == 0 ? "nothing: x is empty" : f.plan({x, out});
}

}  // namespace halnorm::HALNORM_ABI
