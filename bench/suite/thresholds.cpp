#include "thresholds.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "plan/machine.h"

namespace halnorm::bench {
namespace {

constexpr std::pair<std::string_view, std::int64_t detail::Thresholds::*> thresholds[] = {
    {"nontemporal_bytes", &detail::Thresholds::nontemporal_bytes},
    {"nontemporal_bytes_of_passes", &detail::Thresholds::nontemporal_bytes_of_passes},
    {"single_pass_bytes_in_lines", &detail::Thresholds::single_pass_bytes_in_lines},
    {"single_pass_bytes_in_parts", &detail::Thresholds::single_pass_bytes_in_parts},
    {"group_elements", &detail::Thresholds::group_elements},
    {"many_rows", &detail::Thresholds::many_rows}};

/// "name=value name=value": a threshold that is not named has the process's own value.
detail::Thresholds thresholds_of(const std::string& words) {
  detail::Thresholds all = detail::machine_of(detail::View{}).thresholds;
  std::istringstream stream(words);
  for (std::string word; stream >> word;) {
    const auto equals = std::min(word.find('='), word.size() - 1);
    const auto* const found =
        std::ranges::find(thresholds, word.substr(0, equals), [](auto& t) { return t.first; });
    if (found == std::end(thresholds)) throw std::invalid_argument("no threshold " + word);
    all.*found->second = std::stoll(word.substr(equals + 1));
  }
  return all;
}

}  // namespace

bool take_thresholds() noexcept try {
  const char* given = std::getenv("HALNORM_BENCH_THRESHOLDS");
  static const detail::Thresholds set = thresholds_of(given == nullptr ? "" : given);
  detail::set_thresholds(&set);
  std::string all;
  for (const auto& [name, member] : thresholds) {
    all += std::string(name) + "=" + std::to_string(set.*member) + " ";
  }
  benchmark::AddCustomContext("thresholds", all);
  return true;
} catch (const std::exception& error) {
  std::cerr << "HALNORM_BENCH_THRESHOLDS: " << error.what() << '\n';
  return false;
}

}  // namespace halnorm::bench
