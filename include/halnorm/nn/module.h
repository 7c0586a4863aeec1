#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "halnorm/distributed.h"
#include "halnorm/nn/hooks.h"
#include "halnorm/nn/load_state.h"
#include "halnorm/nn/registry.h"
#include "halnorm/serialize.h"
#include "halnorm/tensor.h"

/// @file
/// The base of all layers: a node in a tree of named parameters, buffers and child modules.

#pragma GCC visibility push(default)

namespace halnorm::nn {

/// A module is an object with an identity: it is neither copied nor moved, two are equal only if
/// they are one, and clone() makes a deep copy.
///
/// Threads: calls that change nothing (a forward in eval mode under a NoGradGuard, every const
/// member) may run at the same time; anything else needs the caller's own ordering.
///
/// Errors that come out of a call carry the path of the module they happened in, when it was called
/// by a parent: "net.2.bn: ...". A call that throws: docs/module.md says what has changed.
///
/// Lifetime: calls and walks may erase or replace any module, the running one too. A module that
/// leaves its tree during one stays alive until the outermost of them has ended.
class Module {
 public:
  using Attribute = std::variant<Parameter, Tensor, Module*>;

  Module() = default;
  virtual ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // ---- calling --------------------------------------------------------------------------------
  /// Pre-hooks, forward, hooks.
  Tensor operator()(const Tensor& x);
  /// The same in eval mode, and nothing is kept for a backward; forward may not change the module.
  /// @throws ValueError if it, or a module below, is in training mode.
  Tensor operator()(const Tensor& x) const;
  /// The computation without hooks. The base throws Error: a subclass says what it computes.
  virtual Tensor forward(const Tensor& x);
  /// The gradient with respect to the input of the latest forward of the module's mode that was not
  /// yet differentiated; adds to the parameters' gradients. The base throws Error.
  virtual Tensor backward(const Tensor& grad_output);

  /// Hooks run in the order of registration, `prepend` puts one first. A call reads the list of
  /// pre-hooks when it begins and the list of hooks when forward has returned; changes to a list
  /// that was read count from the next call on. @throws ValueError for an empty one.
  HookHandle register_forward_pre_hook(ForwardPreHook hook, bool prepend = false);
  HookHandle register_forward_hook(ForwardHook hook, bool prepend = false);
  HookHandle register_load_state_dict_pre_hook(LoadStateDictPreHook hook, bool prepend = false);

  // ---- mode and gradients ---------------------------------------------------------------------
  /// Sets the mode of this module and all below it.
  Module& train(bool mode = true);
  Module& eval() { return train(false); }
  [[nodiscard]] bool is_training() const noexcept { return training_; }
  void set_training(bool mode) noexcept { training_ = mode; }  ///< of this module alone

  /// Fills existing gradients with zeros in place, or drops them.
  void zero_grad(bool set_to_none = false);
  Module& requires_grad_(bool flag = true);

  /// Forwards of either mode that are kept for a backward, of this module and all below it.
  [[nodiscard]] std::size_t pending_backwards() const;
  void clear_saved_forwards();
  /// For each mode and module; 0 keeps nothing. @throws ValueError above 2^20.
  void set_max_saved_forwards(std::size_t count);

  // ---- registration ---------------------------------------------------------------------------
  /// Names a tensor; an undefined one reserves the name ("None"). A name of the same kind that is
  /// there keeps its place and gets the new value. A name that is bound to a member of the class
  /// (see bind_parameter) stays bound, also after it was erased. Returns the value.
  /// @throws ValueError if the name is taken by anything else, is empty or contains ".", or, for
  ///         modules, if the child contains this module or the name is bound to another module.
  Parameter register_parameter(const std::string& name, Parameter value);
  Tensor register_buffer(const std::string& name, Tensor value, bool persistent = true);
  template <class M>
  std::shared_ptr<M> register_module(const std::string& name, std::shared_ptr<M> child) {
    add_module(name, child);
    return child;
  }
  void add_module(const std::string& name, std::shared_ptr<Module> child);
  /// @throws ValueError if there is no such name of this kind.
  void unregister_parameter(std::string_view name);
  void unregister_buffer(std::string_view name);
  void unregister_module(std::string_view name);

  // ---- access by name -------------------------------------------------------------------------
  /// The parameter, buffer or child of this name, looked for in that order.
  /// @throws ValueError "'BatchNorm1d' object has no attribute 'foo'".
  [[nodiscard]] Attribute get(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const noexcept;

  /// By dotted path ("2.bn.weight"); the submodule "" is this module. @throws ValueError.
  [[nodiscard]] Parameter get_parameter(std::string_view path) const;
  [[nodiscard]] Tensor get_buffer(std::string_view path) const;
  [[nodiscard]] Module& get_submodule(std::string_view path) const;

  /// Assigns as Python's attribute assignment does. A parameter or a module takes the name over
  /// from whatever has it; a tensor goes to the buffer of that name; an undefined value empties an
  /// entry of any kind. @throws ValueError otherwise, also where the name is bound to a member of
  /// another kind.
  void set(const std::string& name, Parameter value);
  void set(const std::string& name, Tensor value);
  void set(const std::string& name, std::shared_ptr<Module> value);

  /// Removes the entry of this name; false if there is none. A member of the class that the name is
  /// bound to becomes undefined, and is the entry again once it is assigned.
  bool erase(std::string_view name);

  /// The members of the class, and what is registered.
  [[nodiscard]] std::vector<std::string> member_names() const;

  // ---- iteration: snapshots, which keep modules alive; undefined entries are left out ---------
  [[nodiscard]] std::vector<Parameter> parameters(bool recurse = true) const;
  [[nodiscard]] NamedList<Parameter> named_parameters(const std::string& prefix = "",
                                                      bool recurse = true) const;
  [[nodiscard]] std::vector<Tensor> buffers(bool recurse = true) const;  ///< non-persistent too
  [[nodiscard]] NamedList<Tensor> named_buffers(const std::string& prefix = "",
                                                bool recurse = true) const;
  [[nodiscard]] ModuleSnapshot<Module*> children() const;
  [[nodiscard]] NamedModules<Module> named_children() const;
  /// This module, then all below it, parents first; each once, under its first name.
  [[nodiscard]] ModuleSnapshot<Module*> modules();
  [[nodiscard]] NamedModules<Module> named_modules(const std::string& prefix = "");
  [[nodiscard]] NamedModules<const Module> named_modules(const std::string& prefix = "") const;
  /// Leaves out what is in `memo`, and adds what it yields.
  [[nodiscard]] NamedModules<Module> named_modules(std::unordered_set<const Module*>& memo,
                                                   const std::string& prefix = "");

  /// What the lists above are made by: get_members(module) gives (name, value) pairs of one module;
  /// values have defined() and identity(), and each comes once, under its first name.
  template <class GetMembers>
  [[nodiscard]] auto named_members(GetMembers get_members, const std::string& prefix = "",
                                   bool recurse = true) const;

  /// Calls fn on everything below, children first, then on this module. A module's children are
  /// read when the walk comes to it: a sibling that fn erases is visited all the same.
  Module& apply(const std::function<void(Module&)>& fn);
  [[nodiscard]] std::int64_t parameter_bytes() const;  ///< of all of them

  // ---- conversion: everything is converted before anything is replaced ------------------------
  /// Floating point tensors and gradients; Int64 stays. @throws DTypeError for Int64.
  Module& to(DType dtype);
  Module& to(Device device);  ///< all tensors
  Module& to(Device device, DType dtype);
  Module& to(const Tensor& like);  ///< its device and dtype
  Module& cpu() { return to(Device::cpu()); }
  Module& cuda(int index = 0) { return to(Device::cuda(index)); }
  Module& to_float() { return to(DType::Float32); }
  Module& to_double() { return to(DType::Float64); }
  Module& to_half() { return to(DType::Float16); }
  Module& to_bfloat16() { return to(DType::BFloat16); }

  /// Replaces every tensor by fn(tensor): children first, then parameters with their gradients,
  /// then buffers. A tensor that is met twice is converted once and stays shared; handles on a
  /// tensor show its new elements. If fn throws, nothing has changed; an Error of it then begins
  /// with the path of the tensor.
  Module& apply_to_tensors(const std::function<Tensor(const Tensor&)>& fn);

  /// Gives every parameter, gradient and buffer rank 0's values on all ranks; handles stay valid. A
  /// global module keeps what is left out. @throws ValueError for another sbp than broadcast,
  /// another placement, or a module that differs between ranks; Error if a local module lacks an
  /// argument.
  Module& to_global(const std::optional<Placement>& placement = {},
                    const std::optional<Sbp>& sbp = {});
  Module& to_local();  ///< @throws Error unless the module is global

  /// A deep copy: new tensors, shared where they were shared; hooks and gradients are left behind.
  /// Children, parameters and buffers that new_instance() registered are filled in place, so that
  /// members of the class may hold them; others are added, and those that are not here are removed.
  /// @throws Error unless new_instance() makes a new object of the same class.
  [[nodiscard]] std::shared_ptr<Module> clone() const;

  /// Removed from the reference. @throws Error, always.
  [[noreturn]] void to_consistent(const auto&... /*unused*/) const { throw_to_consistent(); }

  // ---- state ----------------------------------------------------------------------------------
  /// Parameters and persistent buffers by name, prefix + path. The tensors share the module's
  /// elements: with keep_vars they are the module's own handles, otherwise handles of their own,
  /// which a later conversion of the module leaves as they are.
  [[nodiscard]] StateDict state_dict(const std::string& prefix = "", bool keep_vars = false) const;
  void state_dict(StateDict& destination, const std::string& prefix = "",
                  bool keep_vars = false) const;

  /// Copies tensors of these names into the module, converting dtypes. All is checked first.
  /// `strict` makes missing and unexpected keys an error too.
  /// @throws LoadError that lists everything that is wrong; nothing was loaded then.
  LoadResult load_state_dict(const StateDict& dict, bool strict = true);
  LoadResult load_state_dict(const StateDict& dict, const LoadStateOptions& options);

  /// state_dict() as a safetensors file, and back; each rank of a global module has the file, and
  /// rank 0's counts. @throws as halnorm::save, load_state_dict.
  void save(std::ostream& stream) const;
  void load(std::istream& stream);

  /// The class of the object, without namespaces and template arguments: "BatchNorm1d".
  [[nodiscard]] virtual std::string name() const;
  /// What stands between the parentheses, lines separated by "\n".
  [[nodiscard]] virtual std::string extra_repr() const { return {}; }
  /// "BatchNorm1d(3, eps=1e-05, ...)", with the children on lines of their own.
  [[nodiscard]] std::string str() const;
  [[nodiscard]] std::string shallow_str() const;
  /// str() for an empty format specification. @throws ValueError for any other.
  [[nodiscard]] std::string format(std::string_view spec) const;
  friend std::ostream& operator<<(std::ostream& stream, const Module& module);
  friend bool operator==(const Module& a, const Module& b) noexcept { return &a == &b; }

 protected:
  /// Register members of a subclass: the entry is the member itself, so that assigning to the
  /// member is seen by everything that asks the module. The name is bound to the member from then
  /// on, also while it is erased: set() and register_*() assign to the member.
  void bind_parameter(const std::string& name, Parameter& member);
  void bind_buffer(const std::string& name, Tensor& member, bool persistent = true);
  void bind_module(const std::string& name, Module& member);
  /// A new module of the same class for clone() to fill, with tensors and children of its own. The
  /// base throws Error. A subclass overrides it: that of its base class makes the base class.
  [[nodiscard]] virtual std::shared_ptr<Module> new_instance() const;
  /// Takes over what is not registered (as eps is in a BatchNorm) from a module of the same class.
  /// clone() calls it for every module, also for children that the class of their parent makes.
  virtual void copy_settings(const Module& /*source*/) {}
  void check_child(const std::string& name, const Module* child) const;  ///< as add_module() does
  void check_all_in_eval() const;  ///< as the const operator() does
  /// The children with their owners, duplicates too; undefined ones are left out, null by name.
  [[nodiscard]] NamedList<std::shared_ptr<Module>> registered_modules() const;
  [[nodiscard]] std::size_t registered_module_count() const noexcept;
  [[nodiscard]] std::shared_ptr<Module> registered_module(std::size_t index) const;
  [[nodiscard]] std::shared_ptr<Module> registered_module(std::string_view name) const;
  /// Names that this class gives a meaning and that no entry may take.
  [[nodiscard]] virtual std::vector<std::string_view> attribute_names() const;
  /// This module's own records of forwards; null for a class that keeps none.
  [[nodiscard]] virtual detail::SavedForwards* saved_forwards() const noexcept { return nullptr; }
  /// Writes this module's own entries. `prefix` ends in "." unless it is empty.
  virtual void save_to_state_dict(StateDict& destination, const std::string& prefix,
                                  bool keep_vars) const;
  virtual void load_from_state_dict(LoadState& load, const std::string& prefix);  ///< plans it
  [[nodiscard]] virtual std::int64_t version() const { return 1; }  ///< recorded if above 1
  /// Of a global module, otherwise null.
  [[nodiscard]] const Placement* placement() const noexcept { return placement_.get(); }

  /// The computation within pre-hooks, hooks, and paths for errors.
  Tensor call(const Tensor& x, const std::function<Tensor(const Tensor& x)>& compute);
  Tensor call(const Tensor& x, const Tensor& out);  ///< the same around forward_into(x, out)
  /// forward with the result in `out`, which is returned; forward(x) if `out` is undefined. The
  /// base copies what forward(x) returns; a class that can write to `out` itself overrides this.
  /// @throws ShapeError, DTypeError or DeviceError unless `out` is like the result.
  virtual Tensor forward_into(const Tensor& x, const Tensor& out);

 private:
  friend class ModuleCloner;
  friend class ModuleConverter;
  friend class ModuleTree;

  void check_name(const char* kind, const std::string& name, bool taken) const;
  void check_unbound(const char* value, const std::string& name) const;
  void check_no_cycle(const std::string& name, const Module* child) const;
  void adopt(Module& child);
  void put_child(const std::string& name, std::shared_ptr<Module> module, Module* member = nullptr);
  Tensor run_hooks(const Tensor& x, Tensor y);
  [[noreturn]] void throw_to_consistent() const;

  /// Calls visit(path with a "." behind it, module) for each module, once.
  void visit_modules(const std::string& path, bool recurse,
                     const std::function<void(const std::string&, const Module&)>& visit) const;
  /// Calls found(prefix, name, value) for each distinct member.
  template <class GetMembers, class Found>
  void visit_members(const GetMembers& get_members, const std::string& path, bool recurse,
                     const Found& found) const;

  Registry registry_;
  std::shared_ptr<detail::HookList<ForwardPreHook>> pre_hooks_;
  std::shared_ptr<detail::HookList<ForwardHook>> hooks_;
  std::shared_ptr<detail::HookList<LoadStateDictPreHook>> load_hooks_;
  std::shared_ptr<const Placement> placement_;
  bool training_ = true;
  detail::Rank rank_;
};

}  // namespace halnorm::nn

#pragma GCC visibility pop

#include "halnorm/nn/module_members.h"  // IWYU pragma: export
