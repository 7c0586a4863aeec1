#include "kernels/table.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "base/lazy.h"
#include "halnorm/error.h"
#include "halnorm/kernels.h"
#include "kernels/cpu_features.h"
#include "kernels/launch.h"

namespace halnorm::HALNORM_ABI {

namespace detail {

namespace {

constexpr std::optional<Target> target_named(std::string_view name) noexcept {
  for (std::size_t i = 0; i < target_count; ++i) {
    if (target_names[i] == name) {
      return static_cast<Target>(i);
    }
  }
  return std::nullopt;
}

std::string_view name_of(Target target) noexcept {
  return target_names[static_cast<std::size_t>(target)];
}

/// The linked targets that this CPU executes.
struct Choices {
  std::vector<Target> targets;

  Choices() {
    for (std::size_t i = 0; i < target_count; ++i) {
      if (cpu_runs(target_names[i])) {
        targets.push_back(static_cast<Target>(i));
      }
    }
  }

  /// @throws KernelError
  [[nodiscard]] Target find(std::string_view name, const char* who) const {
    std::string known;
    for (const Target target : targets) {
      if (name_of(target) == name) {
        return target;
      }
      known += (known.empty() ? "" : ", ") + std::string(name_of(target));
    }
    throw KernelError(std::string(who) + ": got target '" + std::string(name) +
                      "', wanted one that is linked and runs on this CPU: " +
                      (known.empty() ? "none is" : known));
  }
};

const Choices& choices() {
  static constinit Lazy<Choices> all;
  return all.get();
}

std::string linked_targets() {
  std::string list;
  for (const std::string_view name : target_names) {
    list += (list.empty() ? "" : ", ") + std::string(name);
  }
  return list;
}

/// The target of HALNORM_TARGET, otherwise the fastest one.
Target default_choice() {
  const char* wanted = std::getenv("HALNORM_TARGET");
  if (wanted != nullptr && *wanted != '\0') {
    return choices().find(wanted, "HALNORM_TARGET");
  }
  if (choices().targets.empty()) {
    throw KernelError("halnorm: this CPU runs none of the linked targets, got " + linked_targets() +
                      "; HALNORM_TARGETS of the build names them");
  }
  return choices().targets.front();
}

constexpr int undecided = -1;
std::atomic<int> active{undecided};

Target cpu_choice() {
  int choice = active.load(std::memory_order_relaxed);
  if (choice == undecided) {
    choice = static_cast<int>(default_choice());
    active.store(choice, std::memory_order_relaxed);
  }
  return static_cast<Target>(choice);
}

/// All kernels of a device type have one target, if they are linked.
std::optional<Target> choice_for(DeviceType where) {
  switch (where) {
    case DeviceType::CPU:
      return cpu_choice();
    case DeviceType::CUDA:
      return target_named("cuda");
    case DeviceType::OpenCL:
      return target_named("opencl");
  }
  return std::nullopt;
}

}  // namespace

Target target_of(DeviceType where) {
  const std::optional<Target> target = choice_for(where);
  if (!target) {
    throw KernelError("halnorm: this build has no kernels for such a device");
  }
  return *target;
}

const Kernel* find_kernel(const Rows& operation, Layout layout, Element element, DeviceType where) {
  const std::optional<Target> target = choice_for(where);
  return target ? operation.find(*target, layout, element) : nullptr;
}

const Kernel& select_kernel(const Rows& operation, Layout layout, Element element,
                            DeviceType where) {
  return *find_kernel(operation, layout, element, where);
}

}  // namespace detail

std::vector<std::string> targets() {
  std::vector<std::string> names;
  for (const detail::Target target : detail::choices().targets) {
    names.emplace_back(detail::name_of(target));
  }
  return names;
}

void force_target(std::string_view target) {
  const detail::Target choice =
      target.empty() ? detail::default_choice() : detail::choices().find(target, "force_target");
  detail::active.store(static_cast<int>(choice), std::memory_order_relaxed);
}

std::string last_kernel() {
  const detail::Kernel* last = detail::launch().last;
  return last == nullptr ? "" : last->name;
}

}  // namespace halnorm::HALNORM_ABI
