#include "distributed/agree.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <optional>

#include "halnorm/error.h"

namespace halnorm::detail {

namespace {

/// FNV-1a (Fowler, Noll, Vo) of 64 bits. Never 0, which stands for a failure.
std::uint64_t hash(const std::string& text) noexcept {
  std::uint64_t value = 0xcbf29ce484222325U;
  for (const char c : text) {
    value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  return value == 0 ? 1 : value;
}

/// The text of each rank.
std::vector<std::string> gather_texts(const Placement& placement, const std::string& operation,
                                      const std::string& mine) {
  const std::uint64_t length = mine.size();
  const auto lengths =
      gather<std::uint64_t>(placement, operation, std::span<const std::uint64_t>(&length, 1));
  std::string padded = mine;
  padded.resize(static_cast<std::size_t>(*std::ranges::max_element(lengths)));
  const auto all = gather<char>(placement, operation, std::span<const char>(padded));
  std::vector<std::string> texts;
  for (std::size_t rank = 0; rank < lengths.size(); ++rank) {
    texts.emplace_back(all.data() + rank * padded.size(), static_cast<std::size_t>(lengths[rank]));
  }
  return texts;
}

/// The line that begins at `begin`, which moves to the next one.
std::string next_line(const std::string& text, std::size_t& begin) {
  const std::size_t end = std::min(text.find('\n', begin), text.size());
  std::string line = begin < end ? text.substr(begin, end - begin) : "nothing more";
  begin = std::min(end + 1, text.size());
  return line;
}

[[noreturn]] void throw_difference(const std::string& operation, std::size_t rank,
                                   const std::string& first, const std::string& other) {
  std::size_t at_first = 0;
  std::size_t at_other = 0;
  std::string wanted = next_line(first, at_first);
  std::string got = next_line(other, at_other);
  while (got == wanted && (at_first < first.size() || at_other < other.size())) {
    wanted = next_line(first, at_first);
    got = next_line(other, at_other);
  }
  throw ValueError(operation + ": got '" + got + "' on rank " + std::to_string(rank) + " and '" +
                   wanted + "' on rank 0, wanted the same on all ranks");
}

/// All ranks know the words, and that not all are one hash.
[[noreturn]] void throw_disagreement(const Placement& placement, const std::string& operation,
                                     const std::vector<std::uint64_t>& words,
                                     const std::string& text) {
  const auto texts = gather_texts(placement, operation, text);
  for (std::size_t rank = 0; rank < words.size(); ++rank) {
    if (words[rank] == 0) {
      throw CommunicationError(operation + ": rank " + std::to_string(rank) + " of " +
                               std::to_string(words.size()) + " failed: " + texts[rank]);
    }
  }
  const auto other = static_cast<std::size_t>(
      std::ranges::find_if(words, [&](std::uint64_t word) { return word != words[0]; }) -
      words.begin());
  throw_difference(operation, other, texts[0], texts[other]);
}

/// Within a catch block.
[[noreturn]] void throw_communicator_error(const Placement& placement, const std::string& operation,
                                           const char* member, std::size_t bytes) {
  std::string reason = "an unknown exception";
  try {
    throw;
  } catch (const std::exception& error) {
    reason = error.what();
  } catch (...) {  // NOLINT(bugprone-empty-catch): its type is not known
  }
  throw CommunicationError(operation + ": " + member + " of " + std::to_string(bytes) +
                           " bytes failed on rank " + std::to_string(placement.group().rank()) +
                           " of " + std::to_string(placement.ranks().size()) + ": " + reason);
}

}  // namespace

void agree(const Placement& placement, const std::string& operation,
           const std::function<void(Terms&)>& prepare) {
  static_cast<void>(placement.group());  // throws if this rank takes no part
  Terms terms;
  terms.add("operation", operation);
  std::exception_ptr failure;
  std::string reason = "an unknown exception";
  try {
    prepare(terms);
  } catch (const std::exception& error) {
    failure = std::current_exception();
    reason = error.what();
  } catch (...) {
    failure = std::current_exception();
  }
  try {
    const std::uint64_t word = failure ? 0 : hash(terms.text());
    const auto words =
        gather<std::uint64_t>(placement, operation, std::span<const std::uint64_t>(&word, 1));
    if (failure || std::ranges::any_of(words, [&](std::uint64_t w) { return w != word; })) {
      throw_disagreement(placement, operation, words, failure ? reason : terms.text());
    }
  } catch (...) {
    if (failure) {
      std::rethrow_exception(failure);
    }
    throw;
  }
}

void gather_bytes(const Placement& placement, const std::string& operation, const void* mine,
                  void* all, std::size_t bytes) {
  if (bytes == 0) {
    return;
  }
  if (placement.ranks().size() == 1) {
    std::memcpy(all, mine, bytes);
    return;
  }
  try {
    placement.group().all_gather(mine, all, bytes);
  } catch (...) {
    throw_communicator_error(placement, operation, "all_gather", bytes);
  }
}

void broadcast_bytes(const Placement& placement, const std::string& operation, void* data,
                     std::size_t bytes) {
  if (bytes == 0 || placement.ranks().size() == 1) {
    return;
  }
  try {
    placement.group().broadcast(data, bytes);
  } catch (...) {
    throw_communicator_error(placement, operation, "broadcast", bytes);
  }
}

}  // namespace halnorm::detail
