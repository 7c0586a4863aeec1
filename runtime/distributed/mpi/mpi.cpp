#include "halnorm/mpi.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "halnorm/error.h"

namespace halnorm::HALNORM_ABI::mpi {

namespace {

using Clock = std::chrono::steady_clock;

void check(int code, const char* function) {
  if (code != MPI_SUCCESS) {
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(code, text, &length);
    throw CommunicationError(std::string(function) + ": " +
                             std::string(text, static_cast<std::size_t>(length)));
  }
}

void check_ready() {
  int initialized = 0;
  int finalized = 0;
  int provided = MPI_THREAD_SINGLE;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  if (initialized == 0 || finalized != 0) {
    throw CommunicationError(
        std::string("mpi: got MPI ") +
        (finalized != 0 ? "after MPI_Finalize()" : "before MPI_Init_thread()") +
        ", wanted it between the two");
  }
  MPI_Query_thread(&provided);
  int is_main = 0;
  MPI_Is_thread_main(&is_main);
  if (provided < MPI_THREAD_FUNNELED) {
    throw CommunicationError(
        "mpi: got MPI_THREAD_SINGLE, wanted MPI_Init_thread() with MPI_THREAD_FUNNELED at least: "
        "kernels run on threads of their own");
  }
  if (provided == MPI_THREAD_FUNNELED && is_main == 0) {
    throw CommunicationError(
        "mpi: got a call of another thread than the one that initialized MPI with "
        "MPI_THREAD_FUNNELED, wanted that thread's or MPI_THREAD_SERIALIZED");
  }
}

/// Memory of an exchange. MPI may write to it after a timeout, so that it is then never freed.
struct Buffers {
  std::vector<std::byte> sent, received;
};

/// A nonblocking collective.
struct Started {
  const char* function = nullptr;
  std::unique_ptr<Buffers> buffers;
  MPI_Request request = MPI_REQUEST_NULL;
};

class MpiCommunicator final : public Communicator {
 public:
  /// Takes the communicator over.
  MpiCommunicator(MPI_Comm own, const Options& options) : comm_(own), options_(options) {
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
  }
  ~MpiCommunicator() override {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized == 0 && broken_.empty()) {
      MPI_Comm_free(&comm_);
    }
  }
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }

  void all_gather(const void* mine, void* all, std::size_t bytes) override {
    const auto ranks = static_cast<std::size_t>(size_);
    for (std::size_t begin = 0; begin < bytes; begin += options_.message_bytes) {
      const std::size_t part = std::min(options_.message_bytes, bytes - begin);
      const auto received =
          finish(start_gather(static_cast<const std::byte*>(mine) + begin, part))->received;
      for (std::size_t rank = 0; rank < ranks; ++rank) {
        std::memcpy(static_cast<std::byte*>(all) + rank * bytes + begin,
                    received.data() + rank * part, part);
      }
    }
  }

  std::unique_ptr<Exchange> start_all_gather(const void* mine, void* all,
                                             std::size_t bytes) override {
    if (!options_.overlap || bytes > options_.message_bytes) {
      return nullptr;
    }
    auto made = std::make_unique<Gathering>(*this, all);
    made->take(start_gather(static_cast<const std::byte*>(mine), bytes));
    return made;
  }

  void broadcast(void* data, std::size_t bytes) override {
    for (std::size_t begin = 0; begin < bytes; begin += options_.message_bytes) {
      const std::size_t part = std::min(options_.message_bytes, bytes - begin);
      auto* place = static_cast<std::byte*>(data) + begin;
      const auto buffers =
          finish(start("MPI_Ibcast", make_buffers(place, part, 0), [&](Started& started) {
            return MPI_Ibcast(started.buffers->sent.data(), static_cast<int>(part), MPI_BYTE, 0,
                              comm_, &started.request);
          }));
      std::memcpy(place, buffers->sent.data(), part);
    }
  }

  std::shared_ptr<Communicator> subset(const std::vector<int>& ranks) override {
    check_usable();
    MPI_Group all = MPI_GROUP_NULL;
    MPI_Group some = MPI_GROUP_NULL;
    MPI_Comm made = MPI_COMM_NULL;
    check(MPI_Comm_group(comm_, &all), "MPI_Comm_group");
    int code = MPI_Group_incl(all, static_cast<int>(ranks.size()), ranks.data(), &some);
    if (code == MPI_SUCCESS) {
      code = MPI_Comm_create_group(comm_, some, 0, &made);
      MPI_Group_free(&some);
    }
    MPI_Group_free(&all);
    check(code, "MPI_Comm_create_group");
    return std::make_shared<MpiCommunicator>(made, options_);
  }

 private:
  void check_usable() const {
    check_ready();
    if (!broken_.empty()) {
      throw CommunicationError("mpi: got a communicator that lost its step, wanted a new one: " +
                               broken_);
    }
  }

  std::unique_ptr<Buffers> make_buffers(const std::byte* mine, std::size_t bytes,
                                        std::size_t received) const {
    check_usable();
    auto buffers = std::make_unique<Buffers>();
    buffers->sent.assign(mine, mine + bytes);
    buffers->received.resize(received);
    return buffers;
  }

  template <class Start>
  Started start(const char* function, std::unique_ptr<Buffers> buffers, Start call) {
    Started started{.function = function, .buffers = std::move(buffers)};
    try {
      check(call(started), function);
    } catch (const std::exception& error) {
      abandon(started, error.what());
      throw;
    }
    return started;
  }  // NOLINT(clang-analyzer-optin.mpi.MPI-Checker): wait() ends it by MPI_Test()

  Started start_gather(const std::byte* mine, std::size_t bytes) {
    const std::size_t received = bytes * static_cast<std::size_t>(size_);
    return start("MPI_Iallgather", make_buffers(mine, bytes, received), [&](Started& started) {
      const auto count = static_cast<int>(bytes);
      return MPI_Iallgather(started.buffers->sent.data(), count, MPI_BYTE,
                            started.buffers->received.data(), count, MPI_BYTE, comm_,
                            &started.request);
    });
  }

  /// Polls until it is done or the time is up.
  std::unique_ptr<Buffers> finish(Started started) {
    try {
      check_usable();
      wait(started.request, started.function);
    } catch (const std::exception& error) {
      abandon(started, error.what());
      throw;
    }
    return std::move(started.buffers);
  }

  void abandon(Started& started, const char* reason) {
    broken_ = broken_.empty() ? reason : broken_;
    [[maybe_unused]] const Buffers* never_freed = started.buffers.release();
  }

  /// Of start_all_gather().
  class Gathering final : public Exchange {
   public:
    Gathering(MpiCommunicator& owner, void* all) : owner_(owner), all_(all) {}
    ~Gathering() override {
      if (started_.buffers != nullptr) {
        try {
          owner_.finish(std::move(started_));
        } catch (...) {  // NOLINT(bugprone-empty-catch): the next exchange reports it
        }
      }
    }
    Gathering(const Gathering&) = delete;
    Gathering& operator=(const Gathering&) = delete;

    void take(Started started) { started_ = std::move(started); }
    void wait() override {
      const auto received = owner_.finish(std::move(started_))->received;
      std::copy(received.begin(), received.end(), static_cast<std::byte*>(all_));
    }

   private:
    MpiCommunicator& owner_;
    Started started_;
    void* all_;
  };

  void wait(MPI_Request& request, const char* function) const {
    constexpr int polls_between_looks = 64;
    constexpr int looks_before_sleep = 256;
    int looks = 0;
    const Clock::time_point end = Clock::now() + options_.timeout;
    for (int polls = 0;; ++polls) {
      int done = 0;
      check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), function);
      if (done != 0) {
        return;
      }
      if (polls >= polls_between_looks) {
        polls = 0;
        // The others may need this core: with more ranks than cores a yield is not enough.
        ++looks < looks_before_sleep ? std::this_thread::yield()
                                     : std::this_thread::sleep_for(std::chrono::microseconds(50));
        if (Clock::now() > end) {
          throw CommunicationError(std::string(function) + ": not all ranks came within " +
                                   std::to_string(options_.timeout.count()) + " ms");
        }
      }
    }
  }

  MPI_Comm comm_;
  Options options_;
  int rank_ = 0;
  int size_ = 1;
  std::string broken_;  ///< why; empty while it can be used
};

}  // namespace

std::shared_ptr<Communicator> communicator(MPI_Comm comm, const Options& options) {
  check_ready();
  if (comm == MPI_COMM_NULL) {
    throw ValueError("mpi::communicator: got MPI_COMM_NULL, wanted a communicator");
  }
  int is_inter = 0;
  check(MPI_Comm_test_inter(comm, &is_inter), "MPI_Comm_test_inter");
  if (is_inter != 0) {
    throw ValueError("mpi::communicator: got an intercommunicator, wanted an intracommunicator");
  }
  if (options.timeout.count() <= 0 || options.message_bytes == 0 ||
      options.message_bytes > std::numeric_limits<int>::max()) {
    throw ValueError("mpi::communicator: got a timeout of " +
                     std::to_string(options.timeout.count()) + " ms and messages of " +
                     std::to_string(options.message_bytes) +
                     " bytes, wanted a timeout above 0 and a size from 1 to 2^31 - 1");
  }
  MPI_Comm own = MPI_COMM_NULL;
  check(MPI_Comm_dup(comm, &own), "MPI_Comm_dup");
  return std::make_shared<MpiCommunicator>(own, options);
}

}  // namespace halnorm::HALNORM_ABI::mpi
