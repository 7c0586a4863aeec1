#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "halnorm/nn/module.h"
#include "halnorm/nn/typed.h"

/// @file
/// Modules that hold modules. Their children are registered, so that iteration, modes, conversion
/// and state dictionaries reach them.

#pragma GCC visibility push(default)

namespace halnorm::nn {

/// A list of modules named "0", "1", ...; it does not compute.
class ModuleList : public Typed<ModuleList> {
 public:
  ModuleList() = default;
  /// @throws ValueError for a null module, here and below.
  explicit ModuleList(const std::vector<std::shared_ptr<Module>>& modules) { extend(modules); }

  void append(std::shared_ptr<Module> module);
  template <class M, class... Arguments>
  std::shared_ptr<M> emplace(Arguments&&... arguments) {
    auto module = std::make_shared<M>(std::forward<Arguments>(arguments)...);
    append(module);
    return module;
  }
  /// The same for a class that has options, which may stand in braces:
  /// emplace<BatchNorm1d>(2, {.momentum = 0.2}).
  template <class M, class Argument>
  std::shared_ptr<M> emplace(Argument&& argument, const typename M::Options& options) {
    return emplace<M, Argument, const typename M::Options&>(std::forward<Argument>(argument),
                                                            options);
  }
  void extend(const std::vector<std::shared_ptr<Module>>& modules);
  /// Before the module at `index`, which may count from the end; the later ones are renamed.
  void insert(std::int64_t index, std::shared_ptr<Module> module);

  [[nodiscard]] std::size_t size() const noexcept { return registered_module_count(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  /// The index may count from the end. @throws ValueError out of range.
  [[nodiscard]] Module& operator[](std::int64_t index) const { return *at(index); }
  [[nodiscard]] std::shared_ptr<Module> at(std::int64_t index) const;
  [[nodiscard]] std::vector<std::shared_ptr<Module>> entries() const;

 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override {
    return std::make_shared<ModuleList>();
  }

 private:
  void check_new_name(const std::string& name) const;
};

/// Its modules one after the other; backward goes through them from the last to the first.
class Sequential : public Typed<Sequential, ModuleList> {
 public:
  Sequential() = default;
  explicit Sequential(const std::vector<std::shared_ptr<Module>>& modules) : Typed(modules) {}
  /// With names of the caller's.
  explicit Sequential(const std::vector<std::pair<std::string, std::shared_ptr<Module>>>& modules);

  Tensor forward(const Tensor& x) override;
  Tensor backward(const Tensor& grad_output) override;

 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override {
    return std::make_shared<Sequential>();
  }
};

/// Modules by name, in the order of insertion; it does not compute.
class ModuleDict : public Typed<ModuleDict> {
 public:
  using Entry = std::pair<std::string, std::shared_ptr<Module>>;

  ModuleDict() = default;
  /// @throws ValueError for a null module or a name that cannot be registered, here and below.
  explicit ModuleDict(const std::vector<Entry>& modules) { update(modules); }

  /// Adds, or replaces in its place.
  void insert(const std::string& key, std::shared_ptr<Module> module);
  void update(const std::vector<Entry>& modules);
  /// Takes a module out. @throws ValueError if there is none.
  std::shared_ptr<Module> pop(std::string_view key);
  void clear();

  [[nodiscard]] std::size_t size() const noexcept { return registered_module_count(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] bool contains(std::string_view key) const { return has(key); }
  /// @throws ValueError if there is none.
  [[nodiscard]] Module& operator[](std::string_view key) const { return *at(key); }
  [[nodiscard]] std::shared_ptr<Module> at(std::string_view key) const;
  [[nodiscard]] std::vector<std::string> keys() const;
  [[nodiscard]] std::vector<Entry> entries() const;

 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override {
    return std::make_shared<ModuleDict>();
  }
};

}  // namespace halnorm::nn

#pragma GCC visibility pop
