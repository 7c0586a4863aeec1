#pragma once

#include <gtest/gtest.h>

#include <exception>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "halnorm/halnorm.h"

/// @file
/// Parts of the tests of modules: small modules, small tensors, and the texts of errors.

namespace fixture {

inline halnorm::Tensor tensor(std::initializer_list<float> values, halnorm::Shape shape) {
  return halnorm::Tensor::from(std::span<const float>(values.begin(), values.size()),
                               std::move(shape));
}

inline halnorm::Tensor tensor(std::initializer_list<float> values) {
  return tensor(values, {static_cast<std::int64_t>(values.size())});
}

inline std::vector<double> values(const halnorm::Tensor& tensor) {
  return tensor.to_vector<double>();
}

/// The text of the E that the call throws; a failure if it throws anything else, or nothing.
template <class E, class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "threw another type: " << error.what();
    return {};
  }
  ADD_FAILURE() << "threw nothing";
  return {};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The first halves of (name, value) pairs.
template <class List>
std::vector<std::string> names_of(const List& list) {
  std::vector<std::string> names;
  for (const auto& entry : list) {
    names.push_back(entry.first);
  }
  return names;
}

using Names = std::vector<std::string>;

/// Returns its input.
class Echo : public halnorm::nn::Module {
 public:
  halnorm::Tensor forward(const halnorm::Tensor& x) override { return x; }
  halnorm::Tensor backward(const halnorm::Tensor& grad_output) override { return grad_output; }

 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override {
    return std::make_shared<Echo>();
  }
};

/// The network of the reference's example: a = BN(2), b = (BN(2), Echo, BN(2)), c = a, parameters p
/// and q = p, buffer buf.
class Net : public Echo {
 public:
  Net() {
    a = register_module("a", std::make_shared<halnorm::nn::BatchNorm1d>(2));
    b = register_module("b", std::make_shared<halnorm::nn::Sequential>());
    b->emplace<halnorm::nn::BatchNorm1d>(2);
    b->emplace<Echo>();
    b->emplace<halnorm::nn::BatchNorm1d>(2);
    add_module("c", a);
    p = register_parameter("p", halnorm::Parameter(halnorm::Tensor::ones({2})));
    register_parameter("q", p);
    register_buffer("buf", halnorm::Tensor::zeros({3}));
  }

  [[nodiscard]] std::string name() const override { return "Net"; }

  std::shared_ptr<halnorm::nn::BatchNorm1d> a;
  std::shared_ptr<halnorm::nn::Sequential> b;
  halnorm::Parameter p;

 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override {
    return std::make_shared<Net>();
  }
};

}  // namespace fixture
