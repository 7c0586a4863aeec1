#include "halnorm/explain.h"

#include <algorithm>
#include <array>
#include <string>

#include "functional/arguments/check.h"
#include "functional/arguments/data_view.h"
#include "halnorm/error.h"
#include "plan/execute.h"

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

/// The update of running statistics whose dtype is that of x's parameters.
Plan update_of(const View& x) {
  const View channels{nullptr, parameter_dtype(x.dtype), Layout::c, 1, x.C, 1, x.C, 1, x.memory};
  return plan_kernel(rows::update_running_stats, channels);
}

std::string in_order(const Plan& first, const Plan& second) {
  return first.str() + ", then " + second.str();
}

/// Training, then the update of contiguous running statistics: on a device in the same kernel.
std::string with_update(const Plan& train, const Rows& device_kernel, const View& x) {
  return x.memory != nullptr ? plan_kernel(device_kernel, x).str() : in_order(train, update_of(x));
}

Plan train_of(const Arguments& a) {
  const auto [x, y] = a.for_sums();
  return plan_train({x, y}, plain_train.train, plain_train.elemt);
}

Plan fused_train_of(const Arguments& a) {
  const auto [x, y] = a.for_sums();
  return plan_train({x, like(x), y}, fused_train.train, fused_train.elemt);
}

/// The backward of relu, whose output is the dy of the second plan.
std::string fused_backward_of(const Arguments& a, Plan (*backward)(const Views& data)) {
  const View y = a.for_elements().x;
  const auto [x, dx] = a.for_sums();
  return in_order(plan_relu_backward({like(y), like(y), new_output(y)}),
                  backward({x, like(new_output(x)), dx}));
}

struct Explained {
  std::string_view function;
  Operation operation;  ///< a build without its kernels refuses the function
  std::string (*plan)(const Arguments& a);
};

constexpr std::array<Explained, 15> functions{{
    {"batch_norm_train", Operation::batch_norm_train,
     [](const Arguments& a) { return train_of(a).str(); }},
    {"batch_norm_train_update", Operation::batch_norm_train,
     [](const Arguments& a) {
       return with_update(train_of(a), plain_train.with_running_stats, a.for_sums().x);
     }},
    {"batch_norm_infer", Operation::batch_norm_infer,
     [](const Arguments& a) {
       const auto [x, y] = a.for_elements();
       return plan_infer({x, y}, plain_infer.infer, plain_infer.elemt).str();
     }},
    {"batch_norm_backward", Operation::batch_norm_backward,
     [](const Arguments& a) {
       const auto [x, dx] = a.for_sums();
       return plan_backward({x, like(x), dx}).str();
     }},
    {"batch_norm_backward_infer", Operation::batch_norm_backward_infer,
     [](const Arguments& a) {
       const auto [x, dx] = a.for_sums();
       return plan_backward_infer({x, like(x), dx}).str();
     }},
    {"batch_norm_moments", Operation::batch_norm_moments,
     [](const Arguments& a) { return plan_moments({a.for_sums().x}).str(); }},
    {"batch_norm_elemt", Operation::batch_norm_elemt,
     [](const Arguments& a) {
       const auto [x, y] = a.for_elements();
       return plan_elemt({x, y}, rows::batch_norm_elemt).str();
     }},
    {"batch_norm_backward_reduce", Operation::batch_norm_backward_reduce,
     [](const Arguments& a) {
       const View x = a.for_sums().x;
       return plan_backward_reduce({x, like(x)}).str();
     }},
    {"batch_norm_backward_elemt", Operation::batch_norm_backward_elemt,
     [](const Arguments& a) {
       const auto [x, dx] = a.for_elements();
       return plan_backward_elemt({x, like(x), dx}).str();
     }},
    {"batch_norm_fused_train", Operation::batch_norm_fused_train,
     [](const Arguments& a) { return fused_train_of(a).str(); }},
    {"batch_norm_fused_train_update", Operation::batch_norm_fused_train,
     [](const Arguments& a) {
       return with_update(fused_train_of(a), fused_train.with_running_stats, a.for_sums().x);
     }},
    {"batch_norm_fused_infer", Operation::batch_norm_fused_infer,
     [](const Arguments& a) {
       const auto [x, y] = a.for_elements();
       return plan_infer({x, like(x), y}, fused_infer.infer, fused_infer.elemt).str();
     }},
    {"batch_norm_fused_backward", Operation::relu_backward,
     [](const Arguments& a) { return fused_backward_of(a, &plan_backward); }},
    {"batch_norm_fused_backward_infer", Operation::relu_backward,
     [](const Arguments& a) { return fused_backward_of(a, &plan_backward_infer); }},
    {"update_running_stats", Operation::update_running_stats,
     [](const Arguments& a) { return update_of(a.for_sums().x).str(); }},
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
