#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "halnorm/nn/module.h"
#include "halnorm/tensor.h"

/// @file
/// The entries of a module, and its rank among modules.

namespace halnorm::HALNORM_ABI::nn {

/// A number above all that were given out before.
std::int64_t next_rank() noexcept;

/// Every module ranks above those below it, so that most additions are seen to close no cycle
/// without a search. Atomic, because other threads may add one module to trees of theirs.
struct Rank {
  std::atomic<std::int64_t> value = next_rank();
  std::atomic<bool> has_parent = false;  ///< or had one
};

/// Entries by name, in the order of registration. A look-up takes logarithmic time.
template <class Entry>
class NamedEntries {
 public:
  [[nodiscard]] const Entry* find(std::string_view name) const noexcept {
    const auto found = ids_by_name_.find(name);
    return found == ids_by_name_.end() ? nullptr : &entries_[place_of(found->second)];
  }
  [[nodiscard]] Entry* find(std::string_view name) noexcept {
    return const_cast<Entry*>(std::as_const(*this).find(name));
  }

  /// Puts an entry of a new name at the end.
  void add(Entry entry) {
    const auto named = ids_by_name_.emplace(entry.name, next_id_).first;
    try {
      ids_.push_back(next_id_);
      entries_.push_back(std::move(entry));
    } catch (...) {
      ids_.resize(entries_.size());
      ids_by_name_.erase(named);
      throw;
    }
    ++next_id_;
  }

  void remove(std::string_view name) {
    const auto found = ids_by_name_.find(name);
    const auto place = static_cast<std::ptrdiff_t>(place_of(found->second));
    entries_.erase(entries_.begin() + place);
    ids_.erase(ids_.begin() + place);
    ids_by_name_.erase(found);
  }

  [[nodiscard]] auto begin() const noexcept { return entries_.begin(); }
  [[nodiscard]] auto end() const noexcept { return entries_.end(); }
  [[nodiscard]] auto begin() noexcept { return entries_.begin(); }
  [[nodiscard]] auto end() noexcept { return entries_.end(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] const Entry& operator[](std::size_t place) const { return entries_[place]; }

 private:
  [[nodiscard]] std::size_t place_of(std::uint64_t id) const noexcept {
    return static_cast<std::size_t>(std::lower_bound(ids_.begin(), ids_.end(), id) - ids_.begin());
  }

  std::vector<Entry> entries_;
  std::vector<std::uint64_t> ids_;  ///< of the entries, ascending: a removal renumbers nothing
  std::map<std::string, std::uint64_t, std::less<>> ids_by_name_;
  std::uint64_t next_id_ = 0;
};

/// The members that a module has registered, each kind in the order of registration.
///
/// The name of a member of the class is bound to it for good. Erasing the name empties the member;
/// the entry is there again as soon as the member has a value, whoever assigns it.
struct Registry {
  /// A named value that lives here, or in a member of the module's class.
  template <class T>
  struct Slot {
    std::string name;
    T own;
    T* member = nullptr;
    bool persistent = true;  ///< buffers: part of the state dictionary
    bool erased = false;     ///< no entry while the member is undefined

    [[nodiscard]] const T& value() const noexcept { return member != nullptr ? *member : own; }
    void assign(T value) noexcept {
      (member != nullptr ? *member : own) = std::move(value);
      erased = false;
    }
    [[nodiscard]] bool listed() const noexcept { return !erased || value().defined(); }
  };

  /// A child; null for "None".
  struct Child {
    std::string name;
    std::shared_ptr<Module> module;
    Module* member = nullptr;  ///< the member of the parent's class that the name is bound to
    bool erased = false;

    [[nodiscard]] bool listed() const noexcept { return !erased; }
  };

  NamedEntries<Slot<Parameter>> parameters;
  NamedEntries<Slot<Tensor>> buffers;
  NamedEntries<Child> children;
  std::size_t child_modules = 0;  ///< children that are not "None"

  /// The entry of a name in one of the lists; null if it is not there or erased.
  template <class List>
  static auto find(List& list, std::string_view name) noexcept -> decltype(list.find(name)) {
    auto* const entry = list.find(name);
    return entry != nullptr && entry->listed() ? entry : nullptr;
  }

  /// Takes an entry out, and empties the member that it is bound to. False if there is none.
  template <class T>
  static bool erase(NamedEntries<Slot<T>>& list, std::string_view name) {
    Slot<T>* const entry = find(list, name);
    if (entry == nullptr) {
      return false;
    }
    if (entry->member != nullptr) {
      entry->assign(T());
      entry->erased = true;
    } else {
      list.remove(name);
    }
    return true;
  }

  [[nodiscard]] bool has(std::string_view name) const noexcept {
    return find(parameters, name) != nullptr || find(buffers, name) != nullptr ||
           find(children, name) != nullptr;
  }

  /// Whether an entry of another kind has the name, or is bound to a member of that name.
  template <class List>
  [[nodiscard]] bool taken_outside(const List& list, std::string_view name) const noexcept {
    const auto taken_in = [&](const auto& other) {
      return static_cast<const void*>(&other) != &list && other.find(name) != nullptr;
    };
    return taken_in(parameters) || taken_in(buffers) || taken_in(children);
  }
};

}  // namespace halnorm::HALNORM_ABI::nn
