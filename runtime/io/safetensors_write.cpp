#include <algorithm>
#include <ostream>
#include <string>

#include "base/strides.h"
#include "distributed/agree.h"
#include "halnorm/error.h"
#include "io/atomic_file.h"
#include "io/ios_exceptions.h"
#include "io/safetensors.h"

namespace halnorm::HALNORM_ABI {

namespace safetensors {

namespace {

void check_entry(const StateDict::Entry& entry) {
  const auto& [name, tensor] = entry;
  if (name == metadata_key) {
    throw ValueError("save: got a tensor named '" + name + "', which the format keeps for itself");
  }
  if (!tensor.defined()) {
    throw ValueError("save: got an undefined tensor for '" + name + "', wanted a defined one");
  }
}

std::string describe(const Tensor& tensor, std::uint64_t begin, std::uint64_t end) {
  std::string extents;
  for (const std::int64_t extent : tensor.shape()) {
    extents += (extents.empty() ? "" : ",") + std::to_string(extent);
  }
  return R"({"dtype":")" + std::string(type_name(tensor.dtype())) + R"(","shape":[)" + extents +
         R"(],"data_offsets":[)" + std::to_string(begin) + "," + std::to_string(end) + "]}";
}

std::uint64_t bytes_of(const Tensor& tensor) {
  return static_cast<std::uint64_t>(tensor.numel()) * size_of(tensor.dtype());
}

std::string describe(const std::map<std::string, std::string>& metadata) {
  std::string text;
  for (const auto& [name, value] : metadata) {
    text += (text.empty() ? "" : ",") + json_string(name) + ":" + json_string(value);
  }
  return json_string(std::string(metadata_key)) + ":{" + text + "}";
}

}  // namespace

Layout lay_out(const StateDict& state) {
  struct Item {
    const StateDict::Entry* entry;
    std::uint64_t begin;
  };
  std::vector<Item> items;
  for (const StateDict::Entry& entry : state) {
    check_entry(entry);
    items.push_back({&entry, 0});
  }
  // Wide elements first, so that all are aligned without gaps.
  std::vector<Item*> in_file;
  for (Item& item : items) {
    in_file.push_back(&item);
  }
  std::stable_sort(in_file.begin(), in_file.end(), [](const Item* a, const Item* b) {
    return size_of(a->entry->second.dtype()) > size_of(b->entry->second.dtype());
  });
  Layout layout;
  std::uint64_t offset = 0;
  for (Item* item : in_file) {
    item->begin = offset;
    offset += bytes_of(item->entry->second);
    layout.tensors.push_back(item->entry->second);
  }
  std::string json = state.metadata().empty() ? "" : describe(state.metadata());
  for (const auto& [entry, begin] : items) {
    json += (json.empty() ? "" : ",") + json_string(entry->first) + ":" +
            describe(entry->second, begin, begin + bytes_of(entry->second));
  }
  json = "{" + json + "}";
  json.resize((json.size() + length_bytes - 1) / length_bytes * length_bytes, ' ');
  if (json.size() > max_header_bytes) {
    throw ValueError("save: got names for a header of " + std::to_string(json.size()) +
                     " bytes, wanted at most " + std::to_string(max_header_bytes));
  }
  const std::uint64_t length = json.size();
  layout.head.assign(reinterpret_cast<const char*>(&length), sizeof length);
  layout.head += json;
  return layout;
}

}  // namespace safetensors

namespace {

/// write(address, count) for each part in turn; one tensor at a time is copied if it must be.
template <class Write>
void write_all(const safetensors::Layout& layout, Write write) {
  write(layout.head.data(), layout.head.size());
  for (const Tensor& tensor : layout.tensors) {
    const Tensor dense = tensor.to(Device::cpu()).contiguous();
    write(dense.raw_data(), static_cast<std::size_t>(safetensors::bytes_of(dense)));
  }
}

}  // namespace

namespace {

void save_here(const StateDict& state, const std::filesystem::path& path) {
  const safetensors::Layout layout = safetensors::lay_out(state);
  safetensors::OutputFile file(path);
  write_all(layout, [&](const void* data, std::size_t count) { file.write(data, count); });
  file.commit();
}

}  // namespace

void save(const StateDict& state, const std::filesystem::path& path) {
  const auto global =
      std::ranges::find_if(state, [](const auto& entry) { return entry.second.is_global(); });
  if (global == state.end()) {
    save_here(state, path);
    return;
  }
  const Placement placement = global->second.placement();
  detail::agree(placement, "save", [&](detail::Terms& terms) {
    for (const auto& [name, tensor] : state) {
      terms.add(name, tensor.defined() ? detail::to_string(tensor.shape()) : "undefined");
    }
    if (placement.group().rank() == 0) {
      save_here(state, path);
    }
  });
}

void save(const StateDict& state, std::ostream& stream) {
  const safetensors::Layout layout = safetensors::lay_out(state);
  const detail::NoIosExceptions guard(stream);
  write_all(layout, [&](const void* data, std::size_t count) {
    stream.write(static_cast<const char*>(data), static_cast<std::streamsize>(count));
  });
  if (!stream.flush()) {
    throw Error("save: got a stream that cannot be written to, wanted one that can");
  }
}

}  // namespace halnorm::HALNORM_ABI
