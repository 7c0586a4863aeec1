#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "halnorm/functional.h"
#include "halnorm/functional_fused.h"
#include "support/kernel_test.h"
#include "support/throws.h"

/// @file
/// Every function with valid arguments, for the tests that spoil one of them.

namespace calls {

namespace F = halnorm::functional;
using halnorm::DType;
using halnorm::Tensor;

/// Valid arguments for every function; each test spoils one of them.
struct Arguments {
  Tensor x = Tensor::randn({4, 3, 5}, 1);
  Tensor dy = Tensor::randn({4, 3, 5}, 2);
  Tensor addend = Tensor::randn({4, 3, 5}, 9);
  Tensor y = Tensor::randn({4, 3, 5}, 10);
  Tensor weight = Tensor::randn({3}, 3);
  Tensor bias = Tensor::randn({3}, 4);
  Tensor running_mean = Tensor::randn({3}, 5);
  Tensor running_var = Tensor::ones({3});
  Tensor mean = Tensor::randn({3}, 6, DType::Float64);
  Tensor invstd = Tensor::ones({3}, DType::Float64);
  Tensor sum_dy = Tensor::randn({3}, 7, DType::Float64);
  Tensor sum_dy_xmu = Tensor::randn({3}, 8, DType::Float64);
  Tensor count = Tensor::full({}, 20, DType::Float64);
  Tensor out = Tensor::full({4, 3, 5}, 77);
  double epsilon = 1e-5;
  double factor = 0.1;
};

struct Function {
  std::string name;
  std::function<void(const Arguments&)> call;
};

inline const Function train{"batch_norm_train", [](const Arguments& a) {
                              F::batch_norm_train(a.x, a.weight, a.bias, a.epsilon, a.out);
                            }};
inline const Function train_update{"batch_norm_train_update", [](const Arguments& a) {
                                     F::batch_norm_train_update(a.x, a.running_mean, a.running_var,
                                                                a.weight, a.bias, a.factor,
                                                                a.epsilon, a.out);
                                   }};
inline const Function infer{"batch_norm_infer", [](const Arguments& a) {
                              F::batch_norm_infer(a.x, a.running_mean, a.running_var, a.weight,
                                                  a.bias, a.epsilon, a.out);
                            }};
inline const Function backward{"batch_norm_backward", [](const Arguments& a) {
                                 F::batch_norm_backward(a.dy, a.x, a.weight, a.mean, a.invstd,
                                                        a.out);
                               }};
inline const Function backward_infer{"batch_norm_backward_infer", [](const Arguments& a) {
                                       F::batch_norm_backward_infer(a.dy, a.x, a.weight,
                                                                    a.running_mean, a.running_var,
                                                                    a.epsilon, a.out);
                                     }};
inline const Function moments{"batch_norm_moments",
                              [](const Arguments& a) { F::batch_norm_moments(a.x); }};
inline const Function elemt{"batch_norm_elemt", [](const Arguments& a) {
                              F::batch_norm_elemt(a.x, a.weight, a.bias, a.mean, a.invstd, a.out);
                            }};
inline const Function reduce{"batch_norm_backward_reduce", [](const Arguments& a) {
                               F::batch_norm_backward_reduce(a.dy, a.x, a.mean, a.invstd, a.weight);
                             }};
inline const Function backward_elemt{"batch_norm_backward_elemt", [](const Arguments& a) {
                                       F::batch_norm_backward_elemt(a.dy, a.x, a.mean, a.invstd,
                                                                    a.weight, a.sum_dy,
                                                                    a.sum_dy_xmu, a.count, a.out);
                                     }};

inline const Function fused_train{"batch_norm_fused_train", [](const Arguments& a) {
                                    F::batch_norm_fused_train(a.x, a.addend, a.weight, a.bias,
                                                              a.epsilon, a.out);
                                  }};
inline const Function fused_train_update{"batch_norm_fused_train_update", [](const Arguments& a) {
                                           F::batch_norm_fused_train_update(
                                               a.x, a.addend, a.running_mean, a.running_var,
                                               a.weight, a.bias, a.factor, a.epsilon, a.out);
                                         }};
inline const Function fused_infer{"batch_norm_fused_infer", [](const Arguments& a) {
                                    F::batch_norm_fused_infer(a.x, a.addend, a.running_mean,
                                                              a.running_var, a.weight, a.bias,
                                                              a.epsilon, a.out);
                                  }};
inline const Function fused_backward{"batch_norm_fused_backward", [](const Arguments& a) {
                                       F::batch_norm_fused_backward(a.dy, a.x, a.y, a.weight,
                                                                    a.mean, a.invstd, a.out);
                                     }};
inline const Function fused_backward_infer{
    "batch_norm_fused_backward_infer", [](const Arguments& a) {
      F::batch_norm_fused_backward_infer(a.dy, a.x, a.y, a.weight, a.running_mean, a.running_var,
                                         a.epsilon, a.out);
    }};

inline const std::vector<Function> all = {train,
                                          train_update,
                                          infer,
                                          backward,
                                          backward_infer,
                                          moments,
                                          elemt,
                                          reduce,
                                          backward_elemt,
                                          fused_train,
                                          fused_train_update,
                                          fused_infer,
                                          fused_backward,
                                          fused_backward_infer};

inline bool same_values(const Tensor& a, const Tensor& b) {
  return a.defined() == b.defined() &&
         (!a.defined() || same_bits(inputs::doubles(a), inputs::doubles(b)));
}

inline Tensor copy_of(const Tensor& tensor) { return tensor.defined() ? tensor.clone() : Tensor(); }

/// The call throws Expected with the function's name and the fragments, and writes nothing.
template <class Expected>
void expect_refused(const Function& function, const Arguments& a,
                    std::initializer_list<std::string_view> fragments) {
  SCOPED_TRACE(function.name);
  const std::vector<Tensor> watched = {a.x,    a.dy,           a.addend,      a.y,  a.weight,
                                       a.bias, a.running_mean, a.running_var, a.out};
  std::vector<Tensor> before;
  for (const Tensor& tensor : watched) {
    before.push_back(copy_of(tensor));
  }
  expect_throws<Expected>([&] { function.call(a); }, fragments);
  expect_throws<Expected>([&] { function.call(a); }, {function.name + ":"});
  for (std::size_t i = 0; i < watched.size(); ++i) {
    EXPECT_TRUE(same_values(watched[i], before[i])) << "argument " << i << " was written";
  }
}

}  // namespace calls
