#include "kernels/table.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <iterator>
#include <string>
#include <vector>

#include "base/lazy.h"
#include "halnorm/error.h"
#include "halnorm/kernels.h"
#include "kernels/cpu_features.h"

#define HALNORM_KERNEL(operation, layout, dtype, target) \
  extern "C" int halnorm_##operation##_##layout##_##dtype##__##target##_argv(void**);
#include "halnorm_kernels.inc"
#undef HALNORM_KERNEL

namespace halnorm {

namespace detail {

namespace {

constexpr std::uint8_t vector_bytes_of(std::string_view target) {
  const bool on_device = target == "cuda" || target == "opencl";
  return target == "avx512" ? 64 : target == "avx2" ? 32 : on_device ? 0 : 16;
}

#define HALNORM_KERNEL(operation, layout, dtype, target)            \
  Kernel{Operation::operation,                                      \
         Layout::layout,                                            \
         Element::dtype,                                            \
         vector_bytes_of(#target),                                  \
         #operation,                                                \
         #layout,                                                   \
         #dtype,                                                    \
         #target,                                                   \
         "halnorm_" #operation "_" #layout "_" #dtype "__" #target, \
         &halnorm_##operation##_##layout##_##dtype##__##target##_argv},
/// Fastest target first within each operation, layout and dtype; the portable one last.
constexpr Kernel table[] = {
#include "halnorm_kernels.inc"
};
#undef HALNORM_KERNEL

using Choice = std::array<const Kernel*, operation_count * layout_count * element_count>;

constexpr std::size_t slot(Operation operation, Layout layout, Element element) {
  return (static_cast<std::size_t>(operation) * layout_count + static_cast<std::size_t>(layout)) *
             element_count +
         static_cast<std::size_t>(element);
}

static_assert(std::all_of(std::begin(table), std::end(table),
                          [](const Kernel& k) {
                            return slot(k.operation, k.layout, k.element) < Choice().size();
                          }),
              "an operation behind the one that operation_count names");

Choice choice_of(std::string_view target) {
  Choice choice{};
  for (const Kernel& k : table) {
    if (target == k.target) {
      choice[slot(k.operation, k.layout, k.element)] = &k;
    }
  }
  return choice;
}

/// A device's kernels, all of one target; tensors on a device exist only where it is linked.
const Choice& device_choice(DeviceType type) {
  static const Choice cuda = choice_of("cuda");
  static const Choice opencl = choice_of("opencl");
  return type == DeviceType::CUDA ? cuda : opencl;
}

/// The linked targets that this CPU executes, and for each the kernels that a call then runs.
struct Choices {
  std::vector<std::string> targets;
  std::vector<Choice> kernels;

  Choices() {
    for (const Kernel& k : table) {
      const bool known = std::find(targets.begin(), targets.end(), k.target) != targets.end();
      if (!known && cpu_runs(k.target)) {
        targets.emplace_back(k.target);
      }
    }
    for (const std::string& target : targets) {
      kernels.push_back(choice_of(target));
    }
  }

  /// @throws KernelError
  [[nodiscard]] const Choice* find(std::string_view name, const char* who) const {
    const auto at = std::find(targets.begin(), targets.end(), name);
    if (at != targets.end()) {
      return &kernels[static_cast<std::size_t>(at - targets.begin())];
    }
    std::string known;
    for (const std::string& target : targets) {
      known += (known.empty() ? "" : ", ") + target;
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
  std::vector<std::string_view> names;
  std::string list;
  for (const Kernel& k : table) {
    if (std::find(names.begin(), names.end(), k.target) == names.end()) {
      names.emplace_back(k.target);
      list += (list.empty() ? "" : ", ") + std::string(k.target);
    }
  }
  return list;
}

/// The environment's choice, or the fastest.
const Choice* default_choice() {
  const char* wanted = std::getenv("HALNORM_TARGET");
  if (wanted != nullptr && *wanted != '\0') {
    return choices().find(wanted, "HALNORM_TARGET");
  }
  if (choices().kernels.empty()) {
    throw KernelError("halnorm: this CPU runs none of the linked targets, got " + linked_targets() +
                      "; HALNORM_TARGETS of the build names them");
  }
  return &choices().kernels.front();
}

std::atomic<const Choice*> active{nullptr};
thread_local const Kernel* last = nullptr;

const Choice& choice_for(DeviceType where) {
  if (where != DeviceType::CPU) {
    return device_choice(where);
  }
  const Choice* choice = active.load(std::memory_order_acquire);
  if (choice == nullptr) {
    choice = default_choice();
    active.store(choice, std::memory_order_release);
  }
  return *choice;
}

}  // namespace

std::span<const Kernel> all_kernels() noexcept { return table; }

const Kernel* find_kernel(Operation operation, Layout layout, Element element, DeviceType where) {
  return choice_for(where)[slot(operation, layout, element)];
}

const Kernel& select_kernel(Operation operation, Layout layout, Element element, DeviceType where) {
  last = find_kernel(operation, layout, element, where);
  return *last;
}

}  // namespace detail

std::vector<std::string> targets() { return detail::choices().targets; }

void force_target(std::string_view target) {
  detail::active.store(
      target.empty() ? detail::default_choice() : detail::choices().find(target, "force_target"),
      std::memory_order_release);
}

std::string last_kernel() { return detail::last == nullptr ? "" : detail::last->name; }

}  // namespace halnorm
