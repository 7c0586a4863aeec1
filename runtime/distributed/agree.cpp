#include "distributed/agree.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <exception>
#include <iterator>
#include <limits>

#include "distributed/exchange.h"
#include "halnorm/error.h"

namespace halnorm::HALNORM_ABI::detail {

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

/// If a rank failed, all ranks throw the text of the first one.
void throw_failure(const Placement& placement, const std::string& operation,
                   const std::vector<std::string>& texts, const std::vector<bool>& failed) {
  const auto first = static_cast<std::size_t>(std::ranges::find(failed, true) - failed.begin());
  if (first < failed.size()) {
    throw CommunicationError(operation + ": rank " + std::to_string(first) + " of " +
                             std::to_string(placement.ranks().size()) + " failed: " + texts[first]);
  }
}

/// All ranks know the words, and that not all are one hash.
[[noreturn]] void throw_disagreement(const Placement& placement, const std::string& operation,
                                     const std::vector<std::uint64_t>& words,
                                     const std::string& text) {
  const auto texts = gather_texts(placement, operation, text);
  std::vector<bool> failed;
  std::ranges::transform(words, std::back_inserter(failed), [](auto word) { return word == 0; });
  throw_failure(placement, operation, texts, failed);
  const auto other = static_cast<std::size_t>(
      std::ranges::find_if(words, [&](std::uint64_t word) { return word != words[0]; }) -
      words.begin());
  throw_difference(operation, other, texts[0], texts[other]);
}

/// The first exception of this rank.
class Failure {
 public:
  /// Calls f() unless there is a failure already.
  template <class F>
  void watch(F f) noexcept {
    if (exception_) {
      return;
    }
    try {
      f();
    } catch (...) {
      exception_ = std::current_exception();
    }
  }
  explicit operator bool() const noexcept { return exception_ != nullptr; }
  [[noreturn]] void rethrow() const { std::rethrow_exception(exception_); }
  [[nodiscard]] std::string reason() const {
    try {
      rethrow();
    } catch (const std::exception& error) {
      return error.what();
    } catch (...) {
      return "an unknown exception";
    }
  }

 private:
  std::exception_ptr exception_;
};

/// In place of a rank's first sum: a NaN that no computation gives, because compute() below
/// replaces each other NaN.
constexpr std::uint64_t failed_sum = 0x7ff8'6661'696c'6564U;

void compute(SharedSums& sums, Failure& failure) {
  failure.watch([&] { sums.compute(); });
  double& first = sums.mine.front();
  first = failure             ? std::bit_cast<double>(failed_sum)
          : std::isnan(first) ? std::numeric_limits<double>::quiet_NaN()
                              : first;
}

/// The state of agree_and_gather().
class Agreement {
 public:
  Agreement(const Placement& placement, const std::string& operation)
      : placement_(placement), operation_(operation), words_(placement.ranks().size()) {
    terms_.add("operation", operation);
  }

  void run(const std::function<std::vector<SharedSums*>(Terms&)>& prepare) {
    failure_.watch([&] {
      sums_ = prepare(terms_);
      gathers_ = std::vector<PendingGather>(sums_.size());
      compute_empty();
    });
    sums_.resize(failure_ ? 0 : sums_.size());
    try {
      vote();
      gather();
    } catch (...) {
      if (failure_) {
        failure_.rethrow();
      }
      throw;
    }
  }

 private:
  [[nodiscard]] std::uint64_t word() const { return failure_ ? 0 : hash(terms_.text()); }

  /// Of no channel: without a message that could say that they failed.
  void compute_empty() {
    for (SharedSums* sums : sums_) {
      if (sums->mine.empty()) {
        sums->compute();
      }
    }
    std::erase_if(sums_, [](const SharedSums* sums) { return sums->mine.empty(); });
  }

  void vote() {
    std::uint64_t mine = word();
    PendingGather pending;
    overlaps_ = pending.start(placement_, operation_, &mine, words_.data(), sizeof mine);
    while (computed_ < (overlaps_ ? std::min<std::size_t>(1, sums_.size()) : sums_.size())) {
      compute(*sums_[computed_++], failure_);
    }
    if (overlaps_) {
      pending.wait(placement_, operation_);
    } else {
      mine = word();
      gather_bytes(placement_, operation_, &mine, words_.data(), sizeof mine);
    }
    if (mine == 0 || std::ranges::any_of(words_, [&](std::uint64_t w) { return w != mine; })) {
      throw_disagreement(placement_, operation_, words_,
                         mine == 0 ? failure_.reason() : terms_.text());
    }
  }

  void gather() {
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      SharedSums& sums = *sums_[i];
      if (computed_ == i) {
        compute(*sums_[computed_++], failure_);
      }
      const std::size_t bytes = sums.mine.size() * sizeof(double);
      if (!overlaps_ ||
          !gathers_[i].start(placement_, operation_, sums.mine.data(), sums.all.data(), bytes)) {
        wait();
        gather_bytes(placement_, operation_, sums.mine.data(), sums.all.data(), bytes);
      }
    }
    wait();
    throw_if_failed();
  }

  void wait() {
    for (PendingGather& gather : gathers_) {
      gather.wait(placement_, operation_);
    }
  }

  void throw_if_failed() const {
    std::vector<bool> failed(words_.size());
    for (const SharedSums* sums : sums_) {
      for (std::size_t rank = 0; rank < failed.size(); ++rank) {
        const double first = sums->all[rank * sums->mine.size()];
        failed[rank] = failed[rank] || std::bit_cast<std::uint64_t>(first) == failed_sum;
      }
    }
    if (std::ranges::find(failed, true) != failed.end()) {
      const std::string reason = failure_ ? failure_.reason() : std::string();
      throw_failure(placement_, operation_, gather_texts(placement_, operation_, reason), failed);
    }
  }

  const Placement& placement_;
  const std::string& operation_;
  Terms terms_;
  Failure failure_;
  std::vector<std::uint64_t> words_;
  bool overlaps_ = false;
  std::vector<SharedSums*> sums_;
  std::size_t computed_ = 0;  ///< of the sums
  std::vector<PendingGather> gathers_;
};

}  // namespace

void agree(const Placement& placement, const std::string& operation,
           const std::function<void(Terms&)>& prepare) {
  agree_and_gather(placement, operation, [&](Terms& terms) -> std::vector<SharedSums*> {
    prepare(terms);
    return {};
  });
}

void agree_and_gather(const Placement& placement, const std::string& operation,
                      const std::function<std::vector<SharedSums*>(Terms&)>& prepare) {
  static_cast<void>(placement.group());  // throws if this rank takes no part
  Agreement(placement, operation).run(prepare);
}

}  // namespace halnorm::HALNORM_ABI::detail
