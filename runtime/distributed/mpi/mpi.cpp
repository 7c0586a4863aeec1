#include "halnorm/mpi.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "halnorm/error.h"

namespace halnorm::mpi {

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
      auto buffers = make_buffers(static_cast<const std::byte*>(mine) + begin, part, part * ranks);
      const auto count = static_cast<int>(part);
      run(buffers, "MPI_Iallgather", [&](MPI_Request* request) {
        return MPI_Iallgather(buffers->sent.data(), count, MPI_BYTE, buffers->received.data(),
                              count, MPI_BYTE, comm_, request);
      });
      for (std::size_t rank = 0; rank < ranks; ++rank) {
        std::memcpy(static_cast<std::byte*>(all) + rank * bytes + begin,
                    buffers->received.data() + rank * part, part);
      }
    }
  }

  void broadcast(void* data, std::size_t bytes) override {
    for (std::size_t begin = 0; begin < bytes; begin += options_.message_bytes) {
      const std::size_t part = std::min(options_.message_bytes, bytes - begin);
      auto* place = static_cast<std::byte*>(data) + begin;
      auto buffers = make_buffers(place, part, 0);
      run(buffers, "MPI_Ibcast", [&](MPI_Request* request) {
        return MPI_Ibcast(buffers->sent.data(), static_cast<int>(part), MPI_BYTE, 0, comm_,
                          request);
      });
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

  /// Starts a nonblocking collective and polls it until it is done or the time is up.
  template <class Start>
  void run(std::unique_ptr<Buffers>& buffers, const char* function, Start start) {
    MPI_Request request = MPI_REQUEST_NULL;
    try {
      check(start(&request), function);
      wait(request, function);
    } catch (const CommunicationError& error) {
      broken_ = error.what();
      [[maybe_unused]] const Buffers* never_freed = buffers.release();
      throw;
    }
  }  // NOLINT(clang-analyzer-optin.mpi.MPI-Checker): wait() ends it by MPI_Test()

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

}  // namespace halnorm::mpi
