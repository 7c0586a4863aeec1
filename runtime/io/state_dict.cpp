#include <charconv>
#include <string>

#include "halnorm/error.h"
#include "halnorm/serialize.h"

namespace halnorm::HALNORM_ABI {

namespace {

std::string version_key(std::string_view module_path) {
  return module_path.empty() ? "version" : "version:" + std::string(module_path);
}

}  // namespace

StateDict::StateDict(std::initializer_list<Entry> entries) {
  for (const auto& [name, tensor] : entries) {
    set(name, tensor);
  }
}

void StateDict::set(std::string name, Tensor tensor) {
  const auto [place, is_new] = places_.try_emplace(name, entries_.size());
  if (is_new) {
    entries_.emplace_back(std::move(name), std::move(tensor));
  } else {
    entries_[place->second].second = std::move(tensor);
  }
}

void StateDict::index_from(std::size_t first) {
  for (std::size_t i = first; i < entries_.size(); ++i) {
    places_[entries_[i].first] = i;
  }
}

bool StateDict::erase(std::string_view name) {
  const auto found = places_.find(name);
  if (found == places_.end()) {
    return false;
  }
  const std::size_t place = found->second;
  places_.erase(found);
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(place));
  index_from(place);
  return true;
}

bool StateDict::rename(std::string_view from, std::string to) {
  if (!contains(from)) {
    return false;
  }
  if (from == to) {
    return true;
  }
  erase(to);
  const auto found = places_.find(from);
  const std::size_t place = found->second;
  places_.erase(found);
  entries_[place].first = to;
  places_.emplace(std::move(to), place);
  return true;
}

const Tensor* StateDict::find(std::string_view name) const {
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : &entries_[found->second].second;
}

const Tensor& StateDict::at(std::string_view name) const {
  const Tensor* tensor = find(name);
  if (tensor == nullptr) {
    throw ValueError("StateDict::at: got '" + std::string(name) + "', wanted one of its " +
                     std::to_string(size()) + " names");
  }
  return *tensor;
}

const std::string* StateDict::first_name_from(std::string_view bound) const {
  const auto found = places_.lower_bound(bound);
  return found == places_.end() ? nullptr : &found->first;
}

std::vector<std::string> StateDict::names() const {
  std::vector<std::string> names;
  names.reserve(size());
  for (const auto& [name, tensor] : entries_) {
    names.push_back(name);
  }
  return names;
}

std::optional<std::int64_t> StateDict::version(std::string_view module_path) const {
  const auto found = metadata_.find(version_key(module_path));
  if (found == metadata_.end()) {
    return std::nullopt;
  }
  const std::string& text = found->second;
  std::int64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(version) : std::nullopt;
}

void StateDict::set_version(std::string_view module_path, std::int64_t version) {
  metadata_[version_key(module_path)] = std::to_string(version);
}

}  // namespace halnorm::HALNORM_ABI
