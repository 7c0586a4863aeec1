#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "halnorm/nn/hooks.h"

namespace halnorm::HALNORM_ABI::nn::detail {

class HookStore {
 public:
  HookStore() = default;
  HookStore(const HookStore&) = delete;
  HookStore& operator=(const HookStore&) = delete;
  virtual ~HookStore() = default;
  virtual void remove(std::uint64_t id) = 0;
};

/// Hooks in the order they run. A change makes a new list, so that a call which is running goes on
/// with the hooks it began with. Ids are never used twice.
template <class Hook>
class HookList : public HookStore {
 public:
  using Entries = std::vector<std::pair<std::uint64_t, Hook>>;

  std::uint64_t add(Hook hook, bool prepend) {
    auto changed = std::make_shared<Entries>(*entries_);
    const auto place = prepend ? changed->begin() : changed->end();
    changed->emplace(place, next_id_, std::move(hook));
    entries_ = std::move(changed);
    return next_id_++;
  }

  void remove(std::uint64_t id) override {
    auto changed = std::make_shared<Entries>(*entries_);
    std::erase_if(*changed, [id](const auto& entry) { return entry.first == id; });
    entries_ = std::move(changed);
  }

  [[nodiscard]] std::shared_ptr<const Entries> entries() const { return entries_; }

 private:
  std::shared_ptr<const Entries> entries_ = std::make_shared<Entries>();
  std::uint64_t next_id_ = 0;
};

}  // namespace halnorm::HALNORM_ABI::nn::detail
