#include "kernels/threads/default_threads.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>

namespace halnorm::HALNORM_ABI::detail {

namespace {

constexpr int most_threads = 256;

/// The text of a short file. Nothing is allocated, because a kernel's loop may be the caller.
class Text {
 public:
  explicit Text(const char* path) noexcept {
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
      return;
    }
    ssize_t got = 1;
    while (got > 0 && size_ < bytes_.size()) {
      got = ::read(file, bytes_.data() + size_, bytes_.size() - size_);
      size_ += got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    ::close(file);
  }

  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), size_}; }

 private:
  std::array<char, 8192> bytes_;
  std::size_t size_ = 0;
};

/// Removes the text up to the first `end`, and returns it without the `end`.
std::string_view cut(std::string_view& text, char end) noexcept {
  const std::size_t at = std::min(text.find(end), text.size());
  const std::string_view head = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return head;
}

std::optional<std::int64_t> number(std::string_view text) noexcept {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end != text.data() ? std::optional(value) : std::nullopt;
}

/// The smallest quota of the groups, in CPUs.
class Fewest {
 public:
  void take(std::optional<std::int64_t> quota, std::optional<std::int64_t> period) noexcept {
    if (quota && period && *quota > 0 && *period > 0) {
      const std::int64_t cpus = std::min<std::int64_t>((*quota - 1) / *period + 1, most_threads);
      cpus_ = cpus_ == 0 ? static_cast<int>(cpus) : std::min(cpus_, static_cast<int>(cpus));
    }
  }
  [[nodiscard]] int cpus() const noexcept { return cpus_; }

 private:
  int cpus_ = 0;
};

using Path = std::array<char, 4096>;

/// <root>/<mount><group>/<file>
Text file_of(const char* root, std::string_view mount, std::string_view group,
             const char* file) noexcept {
  Path path;
  std::snprintf(path.data(), path.size(), "%s/%.*s%.*s/%s", root, static_cast<int>(mount.size()),
                mount.data(), static_cast<int>(group.size()), group.data(), file);
  return Text(path.data());
}

/// Calls take() for a group and its parents, whose limits also hold for the group. In a container
/// the group's path may be missing; the root is then the group.
template <class Take>
void for_each_parent(std::string_view group, Take take) noexcept {
  while (group.size() > 1 && group.front() == '/') {
    take(group);
    group = group.substr(0, group.rfind('/'));
  }
  take(std::string_view(""));
}

/// Version 2 of control groups: "200000 100000", or "max 100000".
void take_unified(Fewest& fewest, const char* root, std::string_view group) noexcept {
  for (const std::string_view mount : {"", "unified"}) {
    for_each_parent(group, [&](std::string_view parent) {
      const Text text = file_of(root, mount, parent, "cpu.max");
      std::string_view rest = text.view();
      const auto quota = number(cut(rest, ' '));
      fewest.take(quota, number(rest));
    });
  }
}

/// Version 1 of control groups, whose folders are named after the controllers.
void take_separate(Fewest& fewest, const char* root, std::string_view controllers,
                   std::string_view group) noexcept {
  for (const std::string_view mount : {controllers, std::string_view("cpu")}) {
    for_each_parent(group, [&](std::string_view parent) {
      const Text quota = file_of(root, mount, parent, "cpu.cfs_quota_us");
      const Text period = file_of(root, mount, parent, "cpu.cfs_period_us");
      fewest.take(number(quota.view()), number(period.view()));
    });
  }
}

bool has_cpu(std::string_view controllers) noexcept {
  while (!controllers.empty()) {
    if (cut(controllers, ',') == "cpu") {
      return true;
    }
  }
  return false;
}

/// The CPUs of the affinity mask; 1 if it is not known.
int allowed_cpus() noexcept {
  std::array<unsigned long, 1024> mask{};  // 65536 CPUs
  auto* const set = reinterpret_cast<cpu_set_t*>(mask.data());
  if (::sched_getaffinity(0, sizeof(mask), set) != 0) {
    return 1;
  }
  return CPU_COUNT_S(sizeof(mask), set);
}

int find_out() noexcept {
  if (const char* const wanted = std::getenv("HL_NUM_THREADS"); wanted != nullptr) {
    if (const auto count = number(wanted); count && *count >= 1 && *count <= most_threads) {
      return static_cast<int>(*count);
    }
  }
  const int allowed = allowed_cpus();
  const int paid = cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
  return std::clamp(paid == 0 ? allowed : std::min(allowed, paid), 1, most_threads);
}

}  // namespace

int cgroup_cpus(const char* groups, const char* root) noexcept {
  Fewest fewest;
  const Text text(groups);
  std::string_view lines = text.view();
  while (!lines.empty()) {
    std::string_view group = cut(lines, '\n');
    cut(group, ':');
    const std::string_view controllers = cut(group, ':');
    if (controllers.empty()) {
      take_unified(fewest, root, group);
    } else if (has_cpu(controllers)) {
      take_separate(fewest, root, controllers, group);
    }
  }
  return fewest.cpus();
}

int default_threads() noexcept {
  static constinit std::atomic<int> found{0};
  int count = found.load(std::memory_order_relaxed);
  if (count == 0) {
    count = find_out();
    found.store(count, std::memory_order_relaxed);
  }
  return count;
}

}  // namespace halnorm::HALNORM_ABI::detail
