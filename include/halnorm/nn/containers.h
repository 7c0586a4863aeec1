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
/// Modules that contain modules. The children are registered: iteration, modes, conversion and
/// state dictionaries reach them.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI::nn {

/// A list of modules named "0", "1", .... It has no forward.
class ModuleList : public Typed<ModuleList> {
 public:
  ModuleList() = default;
  /// The list of these modules. @throws ValueError for a null module, here and in the functions
  /// below.
  explicit ModuleList(const std::vector<std::shared_ptr<Module>>& modules) { extend(modules); }

  /// Adds a module at the end.
  void append(std::shared_ptr<Module> module);
  /// Makes a module of class M from the arguments, adds it at the end and returns it.
  template <class M, class... Arguments>
  std::shared_ptr<M> emplace(Arguments&&... arguments) {
    auto module = std::make_shared<M>(std::forward<Arguments>(arguments)...);
    append(module);
    return module;
  }
  /// The same for a class with options, so that they may be written in braces:
  /// emplace<BatchNorm1d>(2, {.momentum = 0.2}).
  template <class M, class Argument>
  // NOLINTNEXTLINE(readability-redundant-typename): Clang 14 wants it
  std::shared_ptr<M> emplace(Argument&& argument, const typename M::Options& options) {
    return emplace<M, Argument, const typename M::Options&>(std::forward<Argument>(argument),
                                                            options);
  }
  /// Adds modules at the end: all of them, or none if one is null.
  void extend(const std::vector<std::shared_ptr<Module>>& modules);
  /// Inserts a module before the one at `index`, which may count from the end. The later modules
  /// are renamed.
  void insert(std::int64_t index, std::shared_ptr<Module> module);

  [[nodiscard]] std::size_t size() const noexcept { return registered_module_count(); }  ///< count
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }  ///< whether size() is 0
  /// The module at an index, which may count from the end. @throws ValueError if out of range.
  /// @{
  [[nodiscard]] Module& operator[](std::int64_t index) const { return *at(index); }
  [[nodiscard]] std::shared_ptr<Module> at(std::int64_t index) const;
  /// @}
  [[nodiscard]] std::vector<std::shared_ptr<Module>> entries() const;  ///< all modules, in order

 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override {
    return std::make_shared<ModuleList>();
  }

 private:
  void check_new_name(const std::string& name) const;
};

/// Runs its modules in order; backward runs their backwards in reverse order.
class Sequential : public Typed<Sequential, ModuleList> {
 public:
  Sequential() = default;
  /// The modules are named "0", "1", ....
  explicit Sequential(const std::vector<std::shared_ptr<Module>>& modules) : Typed(modules) {}
  /// The modules have the given names.
  explicit Sequential(const std::vector<std::pair<std::string, std::shared_ptr<Module>>>& modules);

  Tensor forward(const Tensor& x) override;
  Tensor backward(const Tensor& grad_output) override;

 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override {
    return std::make_shared<Sequential>();
  }
};

/// Modules by name, in the order of insertion. It has no forward.
class ModuleDict : public Typed<ModuleDict> {
 public:
  using Entry = std::pair<std::string, std::shared_ptr<Module>>;  ///< a name and its module

  ModuleDict() = default;
  /// The dictionary of these modules. @throws ValueError for a null module or a name that cannot be
  /// registered, here and in the functions below.
  explicit ModuleDict(const std::vector<Entry>& modules) { update(modules); }

  /// Adds a module, or replaces the one of this name, whose place it takes.
  void insert(const std::string& key, std::shared_ptr<Module> module);
  /// Inserts modules: all of them, or none if one cannot be inserted.
  void update(const std::vector<Entry>& modules);
  /// Removes a module and returns it. @throws ValueError if there is none of this name.
  std::shared_ptr<Module> pop(std::string_view key);
  /// Removes all modules.
  void clear();

  [[nodiscard]] std::size_t size() const noexcept { return registered_module_count(); }  ///< count
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }  ///< whether size() is 0
  /// Whether there is a module of this name.
  [[nodiscard]] bool contains(std::string_view key) const { return has(key); }
  /// The module of this name. @throws ValueError if there is none.
  /// @{
  [[nodiscard]] Module& operator[](std::string_view key) const { return *at(key); }
  [[nodiscard]] std::shared_ptr<Module> at(std::string_view key) const;
  /// @}
  [[nodiscard]] std::vector<std::string> keys() const;  ///< all names, in order
  [[nodiscard]] std::vector<Entry> entries() const;     ///< all names and modules, in order

 protected:
  [[nodiscard]] std::shared_ptr<Module> new_instance() const override {
    return std::make_shared<ModuleDict>();
  }
};

}  // namespace halnorm::HALNORM_ABI::nn

#pragma GCC visibility pop
