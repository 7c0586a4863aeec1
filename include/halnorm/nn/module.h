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
#include "halnorm/nn/module_lists.h"
#include "halnorm/serialize.h"
#include "halnorm/tensor.h"

/// @file
/// The base of all layers: a node in a tree of named parameters, buffers and child modules.

#pragma GCC visibility push(default)

namespace halnorm::HALNORM_ABI::nn {

namespace detail {
struct ModuleImpl;
}  // namespace detail

/// A module cannot be copied or moved. Two modules are equal, and have the same std::hash, only if
/// they are the same object. clone() makes a deep copy.
///
/// Threads: calls that change nothing (a forward in eval mode under a NoGradGuard, every const
/// member) may run at the same time. The caller synchronizes all others.
///
/// Errors: if a parent called the module that throws, the message begins with the module's path:
/// "net.2.bn: ...". docs/module.md lists the state after a call that throws.
///
/// Lifetime: calls and walks over the tree may erase or replace any module, also the running one. A
/// removed module stays alive until the outermost call or walk of the thread has ended.
class Module {
 public:
  using Attribute = std::variant<Parameter, Tensor, Module*>;  ///< the result of get()

  Module();
  virtual ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // ---- calling --------------------------------------------------------------------------------
  Tensor operator()(const Tensor& x);  ///< runs the pre-hooks, forward and the hooks
  /// The same in eval mode without a record for a backward; forward must not change the module.
  /// @throws ValueError if this module or one below is in training mode.
  Tensor operator()(const Tensor& x) const;
  /// The computation without hooks. A subclass overrides it; that of Module throws Error.
  virtual Tensor forward(const Tensor& x);
  /// The gradient for the latest forward in the module's mode that had no backward yet; adds to the
  /// parameters' gradients. That of Module throws Error.
  virtual Tensor backward(const Tensor& grad_output);

  /// Adds a hook after the others, or before them (`prepend`). A call reads the list of pre-hooks
  /// when it begins and that of hooks after forward. @throws ValueError for an empty function.
  /// @{
  HookHandle register_forward_pre_hook(ForwardPreHook hook, bool prepend = false);
  HookHandle register_forward_hook(ForwardHook hook, bool prepend = false);
  HookHandle register_load_state_dict_pre_hook(LoadStateDictPreHook hook, bool prepend = false);
  /// @}

  // ---- mode and gradients ---------------------------------------------------------------------
  /// Sets the mode of this module and of all modules below it.
  Module& train(bool mode = true);
  Module& eval() { return train(false); }           ///< train(false)
  [[nodiscard]] bool is_training() const noexcept;  ///< the mode
  void set_training(bool mode) noexcept;            ///< of this module alone
  void zero_grad(bool set_to_none = false);  ///< fills gradients with 0, or makes them undefined
  Module& requires_grad_(bool flag = true);  ///< sets requires_grad of every parameter

  /// The number of records kept for a backward, of both modes, in this module and all below it.
  [[nodiscard]] std::size_t pending_backwards() const;
  void clear_saved_forwards();  ///< drops these records
  /// For each mode and module; 0 keeps no records. @throws ValueError above 2^20.
  void set_max_saved_forwards(std::size_t count);

  // ---- registration ---------------------------------------------------------------------------
  /// Adds an entry and returns its value; an undefined value reserves the name ("None"). An entry
  /// of the same kind and name keeps its place and gets the new value. A name that is bound to a
  /// member of the class (see bind_parameter) stays bound, also after its entry was erased.
  /// @throws ValueError if the name is empty, contains "." or belongs to another kind of entry; for
  ///         a child that contains this module, and for a name that is bound to another module.
  /// @{
  Parameter register_parameter(const std::string& name, Parameter value);
  Tensor register_buffer(const std::string& name, Tensor value, bool persistent = true);
  template <class M>
  std::shared_ptr<M> register_module(const std::string& name, std::shared_ptr<M> child);
  void add_module(const std::string& name, std::shared_ptr<Module> child);
  /// @}
  /// Removes an entry. @throws ValueError if there is no entry of this kind and name.
  void unregister_parameter(std::string_view name);
  void unregister_buffer(std::string_view name);  ///< as unregister_parameter()
  void unregister_module(std::string_view name);  ///< as unregister_parameter()

  // ---- access by name -------------------------------------------------------------------------
  /// The parameter, buffer or child of this name, searched in this order.
  /// @throws ValueError "'BatchNorm1d' object has no attribute 'foo'".
  [[nodiscard]] Attribute get(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const noexcept;  ///< whether there is such an entry

  /// The entry at a dotted path ("2.bn.weight"). @throws ValueError if there is none.
  [[nodiscard]] Parameter get_parameter(std::string_view path) const;
  [[nodiscard]] Tensor get_buffer(std::string_view path) const;      ///< as get_parameter()
  [[nodiscard]] Module& get_submodule(std::string_view path) const;  ///< "" is this module

  /// Assigns like Python's attribute assignment. A parameter replaces an entry of any kind, a
  /// module a buffer or a child. A tensor replaces the value of an existing buffer. An undefined
  /// value empties an entry of any kind. @throws ValueError otherwise, and if the name is bound to
  /// another kind of member.
  void set(const std::string& name, Parameter value);
  void set(const std::string& name, Tensor value);                   ///< for buffers
  void set(const std::string& name, std::shared_ptr<Module> value);  ///< for children

  /// Removes the entry of this name; false if there is none. If the name is bound to a member of
  /// the class, the member becomes undefined; the entry exists again after the member is assigned.
  bool erase(std::string_view name);
  [[nodiscard]] std::vector<std::string> member_names() const;  ///< of the class, and entries

  // ---- iteration ------------------------------------------------------------------------------
  /// Lists of defined entries, each once, under its first name: of this module and, with `recurse`,
  /// of all modules below it. modules() and named_modules() begin with this module; parents come
  /// before their children. Lists of modules keep their modules alive.
  /// @{
  [[nodiscard]] std::vector<Parameter> parameters(bool recurse = true) const;
  [[nodiscard]] NamedList<Parameter> named_parameters(const std::string& prefix = "",
                                                      bool recurse = true) const;
  [[nodiscard]] std::vector<Tensor> buffers(bool recurse = true) const;  ///< non-persistent too
  [[nodiscard]] NamedList<Tensor> named_buffers(const std::string& prefix = "",
                                                bool recurse = true) const;
  [[nodiscard]] ModuleSnapshot<Module*> children() const;
  [[nodiscard]] NamedModules<Module> named_children() const;
  [[nodiscard]] ModuleSnapshot<Module*> modules();
  [[nodiscard]] NamedModules<Module> named_modules(const std::string& prefix = "");
  [[nodiscard]] NamedModules<const Module> named_modules(const std::string& prefix = "") const;
  /// @}
  /// Leaves out the modules in `memo`, and adds the listed modules to `memo`.
  [[nodiscard]] NamedModules<Module> named_modules(std::unordered_set<const Module*>& memo,
                                                   const std::string& prefix = "");

  /// Makes such a list from get_members(module), which returns (name, value) pairs of one module.
  /// Values need defined() and identity(). Each value is listed once, under its first name.
  template <class GetMembers>
  [[nodiscard]] auto named_members(GetMembers get_members, const std::string& prefix = "",
                                   bool recurse = true) const;

  /// Calls fn for all modules below, children first, then for this module. The children of a module
  /// are read when the walk reaches the module: fn is called for a sibling that fn erased.
  Module& apply(const std::function<void(Module&)>& fn);
  [[nodiscard]] std::int64_t parameter_bytes() const;  ///< the size of all parameters

  // ---- conversion -----------------------------------------------------------------------------
  /// Converts the parameters, gradients and buffers of floating point, to a dtype, a device, or
  /// both of `like`. Integer buffers, as num_batches_tracked, keep their dtype and stay on the
  /// host. All are converted before one is replaced. @throws DTypeError for Int64.
  /// @{
  Module& to(DType dtype);
  Module& to(Device device);
  Module& to(Device device, DType dtype);
  Module& to(const Tensor& like);
  Module& cpu() { return to(Device::cpu()); }
  Module& cuda(int index = 0) { return to(Device::cuda(index)); }
  Module& to_float() { return to(DType::Float32); }
  Module& to_double() { return to(DType::Float64); }
  Module& to_half() { return to(DType::Float16); }
  Module& to_bfloat16() { return to(DType::BFloat16); }
  /// @}

  /// Replaces every tensor by fn(tensor): children first, then parameters with their gradients,
  /// then buffers. Shared tensors are converted once and stay shared; handles stay valid. If fn
  /// throws, nothing has changed, and the message of an Error begins with the path of the tensor.
  Module& apply_to_tensors(const std::function<Tensor(const Tensor&)>& fn);

  /// Makes the module global: every parameter, gradient and buffer gets rank 0's values on all
  /// ranks; handles stay valid. Both arguments are required if the module is local.
  /// @throws ValueError for another sbp than broadcast, another placement than a global module has,
  ///         or a module that differs between ranks; Error if a local module lacks an argument.
  Module& to_global(const std::optional<Placement>& placement = {},
                    const std::optional<Sbp>& sbp = {});
  Module& to_local();  ///< @throws Error unless the module is global

  /// A deep copy: new tensors, shared if they were shared; hooks and gradients are not copied. The
  /// entries that new_instance() registered are filled in place, so that members of the class may
  /// hold them. Others are added, and entries that are not in this module are removed.
  /// @throws Error unless new_instance() makes a new object of the same class.
  [[nodiscard]] std::shared_ptr<Module> clone() const;
  /// The reference removed this function. @throws Error, always.
  [[noreturn]] void to_consistent(const auto&... /*unused*/) const { throw_to_consistent(); }

  // ---- state ----------------------------------------------------------------------------------
  /// Parameters and persistent buffers by name, prefix + path. The tensors share the module's
  /// elements. With keep_vars they are the module's own handles; otherwise a later conversion of
  /// the module does not change them.
  [[nodiscard]] StateDict state_dict(const std::string& prefix = "", bool keep_vars = false) const;
  void state_dict(StateDict& destination, const std::string& prefix = "",
                  bool keep_vars = false) const;  ///< adds to a dictionary

  /// Copies the tensors of the dictionary into the entries of the same names, and converts dtypes.
  /// Everything is checked first. With `strict`, missing and unexpected keys are errors too.
  /// @throws LoadError that lists all errors; nothing was loaded then.
  LoadResult load_state_dict(const StateDict& dict, bool strict = true);
  LoadResult load_state_dict(const StateDict& dict, const LoadStateOptions& options);  ///< same

  void save(std::ostream& stream) const;  ///< writes state_dict(), like halnorm::save()
  /// Loads a file of save(). Each rank of a global module has the file; rank 0's values are used.
  void load(std::istream& stream);

  [[nodiscard]] virtual std::string name() const;  ///< the class without namespaces: "BatchNorm1d"
  /// The text between the parentheses of str(), lines separated by "\n".
  [[nodiscard]] virtual std::string extra_repr() const { return {}; }
  /// "BatchNorm1d(3, eps=1e-05, ...)", followed by the children, each on its own line.
  [[nodiscard]] std::string str() const;
  [[nodiscard]] std::string shallow_str() const;  ///< str() without the children
  /// str() for an empty format specification. @throws ValueError for any other.
  [[nodiscard]] std::string format(std::string_view spec) const;
  friend std::ostream& operator<<(std::ostream& stream, const Module& module);  ///< writes str()
  /// Whether both are the same object.
  friend bool operator==(const Module& a, const Module& b) noexcept { return &a == &b; }

 protected:
  /// Registers a member of a subclass: the entry is the member itself. From then on the name is
  /// bound to the member, also while the entry is erased: set() and register_*() assign to it.
  void bind_parameter(const std::string& name, Parameter& member);
  void bind_buffer(const std::string& name, Tensor& member, bool persistent = true);  ///< the same
  void bind_module(const std::string& name, Module& member);                          ///< the same
  /// A new module of the same class for clone() to fill, with its own tensors and children. Each
  /// class overrides it, because that of a base class makes the base class; Module's throws Error.
  [[nodiscard]] virtual std::shared_ptr<Module> new_instance() const;
  /// Copies settings that are not registered, like eps, from a module of the same class. clone()
  /// calls it for every module, also for children that their parent's class makes.
  virtual void copy_settings(const Module& /*source*/) {}
  void check_child(const std::string& name, const Module* child) const;  ///< as add_module() does
  void check_all_in_eval() const;  ///< as the const operator() does
  /// The children with their owners: all that are defined, duplicates included; or one, maybe null.
  /// @{
  [[nodiscard]] NamedList<std::shared_ptr<Module>> registered_modules() const;
  [[nodiscard]] std::size_t registered_module_count() const noexcept;
  [[nodiscard]] std::shared_ptr<Module> registered_module(std::size_t index) const;
  [[nodiscard]] std::shared_ptr<Module> registered_module(std::string_view name) const;
  /// @}
  /// Names that this class uses and that no entry may have.
  [[nodiscard]] virtual std::vector<std::string_view> attribute_names() const;
  /// Writes this module's own entries. `prefix` ends in "." unless it is empty.
  virtual void save_to_state_dict(StateDict& destination, const std::string& prefix,
                                  bool keep_vars) const;
  virtual void load_from_state_dict(LoadState& load, const std::string& prefix);  ///< plans copies
  [[nodiscard]] virtual std::int64_t version() const { return 1; }  ///< stored if above 1
  /// The placement of a global module; null for a local one.
  [[nodiscard]] const Placement* placement() const noexcept;

  /// Runs the pre-hooks, `compute` and the hooks, and adds the module's path to errors.
  Tensor call(const Tensor& x, const std::function<Tensor(const Tensor& x)>& compute);
  Tensor call(const Tensor& x, const Tensor& out);  ///< the same with forward_into(x, out)
  /// forward(x) with the result in `out`, which is returned; forward(x) alone if `out` is
  /// undefined. That of Module copies. A class that can write to `out` directly overrides it.
  /// @throws ShapeError, DTypeError or DeviceError unless `out` has those of the result.
  virtual Tensor forward_into(const Tensor& x, const Tensor& out);

 private:
  friend struct detail::ModuleImpl;

  [[noreturn]] void throw_to_consistent() const;
  /// Calls visit(path with a "." behind it, module) for each module, once.
  void visit_modules(const std::string& path, bool recurse,
                     const std::function<void(const std::string&, const Module&)>& visit) const;

  std::unique_ptr<detail::ModuleImpl> impl_;
};

}  // namespace halnorm::HALNORM_ABI::nn

#pragma GCC visibility pop

#include "halnorm/nn/module_members.h"  // IWYU pragma: export
