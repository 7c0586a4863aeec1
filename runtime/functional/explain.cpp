#include "halnorm/explain.h"

#include <algorithm>
#include <array>
#include <string>

#include "functional/arguments/check.h"
#include "functional/arguments/data_view.h"
#include "halnorm/error.h"
#include "plan/plan.h"

namespace halnorm {

namespace {

using detail::Layout;
using detail::Operation;
using detail::Plan;
using detail::View;

struct Explained {
  std::string_view function;
  Operation operation;
  bool adds_up;  ///< and so reads x in layout_of()
  Plan (*plan)(const View& x, const View& out);
};

/// dy lies like x, but not in x's memory.
View like(const View& x) {
  View dy = x;
  dy.data = nullptr;
  return dy;
}

constexpr std::array<Explained, 8> functions{{
    {"batch_norm_train", Operation::batch_norm_train, true,
     [](const View& x, const View& y) {
       return detail::plan_train({x, y}, &detail::rows::batch_norm_train,
                                 detail::rows::batch_norm_elemt);
     }},
    {"batch_norm_infer", Operation::batch_norm_infer, false,
     [](const View& x, const View& y) {
       return detail::plan_infer({x, y}, detail::rows::batch_norm_infer,
                                 detail::rows::batch_norm_elemt);
     }},
    {"batch_norm_backward", Operation::batch_norm_backward, true,
     [](const View& x, const View& dx) {
       return detail::plan_backward({x, like(x), dx});
     }},
    {"batch_norm_backward_infer", Operation::batch_norm_backward_infer, true,
     [](const View& x, const View& dx) {
       return detail::plan_backward_infer({x, like(x), dx});
     }},
    {"batch_norm_moments", Operation::batch_norm_moments, true,
     [](const View& x, const View&) { return detail::plan_moments({x}); }},
    {"batch_norm_elemt", Operation::batch_norm_elemt, false,
     [](const View& x, const View& y) {
       return detail::plan_elemt({x, y}, detail::rows::batch_norm_elemt);
     }},
    {"batch_norm_backward_reduce", Operation::batch_norm_backward_reduce, true,
     [](const View& x, const View&) {
       return detail::plan_backward_reduce({x, like(x)});
     }},
    {"batch_norm_backward_elemt", Operation::batch_norm_backward_elemt, false,
     [](const View& x, const View& dx) {
       return detail::plan_backward_elemt({x, like(x), dx});
     }},
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

/// A dense tensor of x's shape that starts at a line of the caches, as new ones of some size do.
View new_output(const View& x) {
  View out = x;
  alignas(detail::line_bytes) static std::byte line_start;
  out.data = &line_start;
  out.stride_c = x.layout == Layout::ncl ? x.L : 1;
  out.stride_n = x.C * x.L;
  out.stride_l = x.layout == Layout::ncl ? 1 : x.C;
  return out;
}

}  // namespace

std::string explain(std::string_view function, const Tensor& x, const Tensor& out) {
  const Explained& f = find_function(function);
  const std::string name(function);
  detail::check_linked(name.c_str(), f.operation);
  const detail::Extents e = detail::check_data(name.c_str(), "x", x);
  detail::check_out(name.c_str(), out, x, {});
  if (e.numel() == 0) {
    return "nothing: x is empty";
  }
  const Layout layout = f.adds_up ? detail::layout_of(x) : detail::elementwise_layout_of(x);
  const auto is_used = [layout](const Tensor& t) {
    return t.defined() && (detail::fits(t, layout) || detail::fits_in_items(t, layout));
  };
  const detail::ViewOf view(layout, {&x, out.defined() ? &out : &x});
  const View given = is_used(x) ? view(x) : new_output(view(x));
  const View target = is_used(out) ? view(out) : new_output(given);
  return f.plan(given, target).str();
}

}  // namespace halnorm
