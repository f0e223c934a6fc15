#include "worker/comm_mpi.h"

#include <mpi.h>
#include <sys/prctl.h>

#include <algorithm>
#include <bitset>
#include <cstdlib>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "engine/base/shared_join.h"
#include "engine/base/thread_comm.h"
#include "worker/comm_mpi_calls.h"
#include "worker/comm_mpi_environment.h"
#include "worker/comm_mpi_join.h"
#include "worker/comm_mpi_messages.h"
#include "worker/comm_mpi_wait.h"

namespace colonnade::worker {
namespace {

using mpi::check;

// Sleeps while a large message is under way: MPI moves its parts only when it is called.
constexpr std::int64_t kBusySleepUs = 50;
// The next step often comes within so long of the last one.
constexpr std::int64_t kRemoteYieldUs = 200;
constexpr std::int64_t kLocalSleepUs = 100'000;

/// One per rank of a host, in memory that they share.
struct alignas(64) Bell {
  Doorbell bell;
};

class MpiCommunicator final : public Communicator, private Traffic {
 public:
  static Result<std::unique_ptr<Communicator>> make(MPI_Comm comm, MPI_Comm join_comm, const MpiOptions& options);

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string transport() const override { return transport_; }

  Status send(int to, Channel channel, std::span<const std::byte> bytes) override {
    COLONNADE_CHECK(to >= 0 && to < size_, "no such rank");
    COLONNADE_TRY(outbox_.send(to, channel, bytes));
    ring(to);
    return {};
  }

  Result<bool> try_receive(int from, Channel channel, std::vector<std::byte>& out) override {
    COLONNADE_CHECK(from >= 0 && from < size_, "no such rank");
    if (failure_) return *failure_;
    COLONNADE_ASSIGN(const bool had, inbox_.take(from, channel, out));
    if (had) return true;
    COLONNADE_TRY(advance());
    return inbox_.take(from, channel, out);
  }

  void wait(std::int64_t timeout_us) override;
  void wake() override { bells_[own_bell_].bell.ring(FutexScope::kShared); }

  Result<std::unique_ptr<Join>> make_join(std::span<const int> members, std::size_t max_floats) override {
    return mpi::make_mpi_join(join_place_, members, max_floats, *this);
  }
  std::vector<int> host_mates() const override { return mates_; }

 private:
  MpiCommunicator(MPI_Comm comm, int rank, int size) : rank_(rank), size_(size), outbox_(comm), inbox_(comm, size) {}

  void ring(int to) {
    const int bell = bell_of_[static_cast<std::size_t>(to)];
    if (bell >= 0) bells_[bell].bell.ring(FutexScope::kShared);
  }

  /// Moves everything along.
  Status advance() {
    if (outbox_.busy()) COLONNADE_TRY(outbox_.advance([this](int to) { ring(to); }));
    COLONNADE_ASSIGN(const bool news, inbox_.advance());
    untold_ = untold_ || news;
    return {};
  }

  /// For ranks in a join: they are called by no bell when a send of theirs needs them.
  bool poll() override {
    if (!outbox_.busy()) return false;
    if (const auto moved = advance(); !moved.ok() && !failure_) failure_ = moved.error();
    return outbox_.busy();
  }

  bool something_came() {
    for (int call = 0; call < (remote_ ? mpi::kCallsPerLook : 1); ++call) {
      const Status moved = advance();
      if (!moved.ok() && !failure_) failure_ = moved.error();
      if (std::exchange(untold_, false) || !moved.ok()) return true;
    }
    return bells_[own_bell_].bell.count() != seen_;
  }

  int rank_;
  int size_;
  mpi::Outbox outbox_;
  mpi::Inbox inbox_;
  std::optional<Error> failure_;   // of a call that cannot return one
  std::string transport_;
  std::vector<int> mates_;
  std::vector<int> bell_of_;       // by rank; -1 on another host
  std::shared_ptr<std::byte> bell_memory_;
  Bell* bells_ = nullptr;
  int own_bell_ = 0;
  // Something has arrived that wait() has not told of: a caller that asks for one message may have taken another off MPI.
  bool untold_ = false;
  std::uint64_t told_messages_ = 0;
  std::uint64_t told_heartbeats_ = 0;
  bool remote_ = false;            // there are ranks on other hosts, which ring no bell here
  std::int64_t quiet_us_ = 0;      // spent in wait() since there was work
  std::uint32_t seen_ = 0;         // rings of the own bell that wait() has told of
  mpi::JoinPlace join_place_;
};

/// By rank: the lowest rank of its host. Collective.
Result<std::vector<int>> find_hosts(MPI_Comm comm, int rank, int size, int pretended_hosts) {
  int lowest = pretended_hosts > 0 ? rank % pretended_hosts : rank;
  if (pretended_hosts == 0) {
    MPI_Comm host = MPI_COMM_NULL;
    COLONNADE_TRY(check(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host), "MPI_Comm_split_type"));
    COLONNADE_TRY(check(MPI_Bcast(&lowest, 1, MPI_INT, 0, host), "MPI_Bcast"));
    COLONNADE_TRY(check(MPI_Comm_free(&host), "MPI_Comm_free"));
  }
  std::vector<int> host_of(static_cast<std::size_t>(size));
  COLONNADE_TRY(check(MPI_Allgather(&lowest, 1, MPI_INT, host_of.data(), 1, MPI_INT, comm), "MPI_Allgather"));
  return host_of;
}

/// How many of this host's cores its ranks may use together: launchers may have given each its own. Collective.
Result<int> count_cores(MPI_Comm comm, const std::vector<int>& cpus, const std::vector<int>& mates, int size) {
  using Mask = std::bitset<4096>;
  Mask own;
  for (const int cpu : cpus)
    if (cpu >= 0 && cpu < static_cast<int>(own.size())) own.set(static_cast<std::size_t>(cpu));
  std::vector<Mask> all(static_cast<std::size_t>(size));
  COLONNADE_TRY(check(MPI_Allgather(&own, sizeof own, MPI_BYTE, all.data(), sizeof own, MPI_BYTE, comm), "MPI_Allgather"));
  Mask together;
  for (const int mate : mates) together |= all[static_cast<std::size_t>(mate)];
  return static_cast<int>(together.count());
}

Result<std::unique_ptr<Communicator>> MpiCommunicator::make(MPI_Comm comm, MPI_Comm join_comm, const MpiOptions& options) {
  int rank = 0;
  int size = 0;
  COLONNADE_TRY(check(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank"));
  COLONNADE_TRY(check(MPI_Comm_size(comm, &size), "MPI_Comm_size"));
  std::unique_ptr<MpiCommunicator> made(new MpiCommunicator(comm, rank, size));
  COLONNADE_ASSIGN(const std::vector<int> host_of, find_hosts(comm, rank, size, options.pretended_hosts));
  const int own_host = host_of[static_cast<std::size_t>(rank)];
  made->bell_of_.assign(static_cast<std::size_t>(size), -1);
  for (int other = 0; other < size; ++other) {
    if (host_of[static_cast<std::size_t>(other)] != own_host) continue;
    made->bell_of_[static_cast<std::size_t>(other)] = static_cast<int>(made->mates_.size());
    made->mates_.push_back(other);
  }
  made->own_bell_ = made->bell_of_[static_cast<std::size_t>(rank)];
  const auto n_mates = static_cast<int>(made->mates_.size());
  made->remote_ = n_mates < size;
  if (made->remote_) (void)::prctl(PR_SET_TIMERSLACK, 1'000UL);  // sleeps end within 1 µs and not 50
  COLONNADE_ASSIGN(const int cores, count_cores(comm, options.cpus, made->mates_, size));
  made->join_place_ = {.comm = join_comm,
                       .rank = rank,
                       .host_of = host_of,
                       .options = {.wait = wait_policy_for(n_mates, cores), .timeout_us = options.join_timeout_us}};
  COLONNADE_ASSIGN(made->bell_memory_,
                   mpi::share_memory(made->join_place_, made->mates_, made->mates_.size() * sizeof(Bell), *made));
  made->bells_ = reinterpret_cast<Bell*>(made->bell_memory_.get());
  const std::set<int> hosts(host_of.begin(), host_of.end());
  made->transport_ = hosts.size() == 1           ? "MPI (shared memory)"
                     : static_cast<int>(hosts.size()) == size ? "MPI (" + mpi::network_name() + ")"
                                                 : "MPI (shared memory, " + mpi::network_name() + ")";
  return std::unique_ptr<Communicator>(std::move(made));
}

void MpiCommunicator::wait(std::int64_t timeout_us) {
  Doorbell& bell = bells_[own_bell_].bell;
  const WaitPolicy& policy = join_place_.options.wait;
  mpi::BackOff back_off(policy, remote_ ? kRemoteYieldUs : 0);
  back_off.resume(quiet_us_);
  const std::int64_t end_us = quiet_us_ + timeout_us;  // on the back-off's clock
  for (int yields = 0;;) {
    const std::uint32_t count = bell.count();
    if (something_came()) {
      seen_ = count;
      const std::uint64_t messages = inbox_.n_messages() - std::exchange(told_messages_, inbox_.n_messages());
      const std::uint64_t heartbeats = inbox_.n_heartbeats() - std::exchange(told_heartbeats_, inbox_.n_heartbeats());
      const bool only_heartbeats = messages > 0 && messages == heartbeats;
      quiet_us_ = only_heartbeats ? back_off.waited_us() : 0;
      return;
    }
    std::int64_t sleep_us = back_off.pause();
    if (timeout_us >= 0 && back_off.waited_us() >= end_us) {
      quiet_us_ = back_off.waited_us();
      return;
    }
    if (sleep_us == 0) continue;
    if (yields < policy.yields) {
      ++yields;
      yield_core();
      continue;
    }
    if (outbox_.busy() || inbox_.busy())
      sleep_us = kBusySleepUs;
    else if (!remote_)
      sleep_us = kLocalSleepUs;
    if (timeout_us >= 0) sleep_us = std::min(sleep_us, end_us - back_off.waited_us());
    bell.sleep(count, sleep_us, FutexScope::kShared);
  }
}

}  // namespace

struct MpiSession::State {
  int rank = 0;
  int size = 1;
  MPI_Comm comm = MPI_COMM_NULL;
  MPI_Comm join_comm = MPI_COMM_NULL;  // apart from comm, of which the inbox takes every message
  std::unique_ptr<Communicator> communicator;
};

Result<std::unique_ptr<MpiSession>> MpiSession::start() {
  mpi::prepare_environment();
  int provided = 0;
  COLONNADE_TRY(check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread"));
  auto state = std::make_unique<State>();
  COLONNADE_TRY(check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler"));
  if (provided < MPI_THREAD_FUNNELED)
    return Error{ErrorCode::kUnsupported, "this MPI library does not support processes with threads (MPI_THREAD_FUNNELED)"};
  COLONNADE_TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &state->comm), "MPI_Comm_dup"));
  COLONNADE_TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &state->join_comm), "MPI_Comm_dup"));
  COLONNADE_TRY(check(MPI_Comm_rank(state->comm, &state->rank), "MPI_Comm_rank"));
  COLONNADE_TRY(check(MPI_Comm_size(state->comm, &state->size), "MPI_Comm_size"));
  return std::unique_ptr<MpiSession>(new MpiSession(std::move(state)));
}

MpiSession::MpiSession(std::unique_ptr<State> state) : state_(std::move(state)) {}
MpiSession::~MpiSession() = default;

int MpiSession::rank() const { return state_->rank; }
int MpiSession::size() const { return state_->size; }

Result<Communicator*> MpiSession::connect(const MpiOptions& options) {
  COLONNADE_CHECK(state_->communicator == nullptr, "connected already");
  COLONNADE_ASSIGN(state_->communicator, MpiCommunicator::make(state_->comm, state_->join_comm, options));
  return state_->communicator.get();
}

Status MpiSession::finish() {
  state_->communicator.reset();
  return check(MPI_Finalize(), "MPI_Finalize");
}

void MpiSession::abort(int exit_status) {
  MPI_Abort(MPI_COMM_WORLD, exit_status);
  std::_Exit(exit_status);
}

}  // namespace colonnade::worker
