#include "worker/mpi_job.h"

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "engine/base/format_text.h"
#include "engine/base/log.h"
#include "engine/base/thread_comm.h"
#include "engine/platform/topology.h"
#include "worker/comm_mpi.h"
#include "worker/private_endpoint.h"

namespace colonnade::worker {
namespace {

std::optional<int> environment_number(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  int number = 0;
  const char* const end = value + std::strlen(value);
  const auto [stopped, failure] = std::from_chars(value, end, number);
  if (failure != std::errc{} || stopped != end) return std::nullopt;
  return number;
}

std::vector<int> one_cpu_a_core() {
  std::vector<int> cpus;
  if (const auto topology = engine::read_topology(); topology.ok())
    for (const engine::CoreInfo& core : topology->cores) cpus.push_back(core.cpus.front());
  return cpus;
}

Status run_alone(const WorkerOptions& options) {
  ThreadJob job(1);
  return run_worker(job.comm(0), options);
}

/// `before_abort` is called by a rank that is about to take the job down.
Status run_rank(const WorkerOptions& options, const std::function<void()>& before_abort) {
  const auto launched = launched_rank();
  if (!launched || launched->size == 1) return run_alone(options);
  set_log_name(text("rank ", launched->rank));
  auto session = MpiSession::start();
  if (!session.ok()) return session.error();
  const MpiOptions how{.cpus = one_cpu_a_core(),
                       .join_timeout_us = static_cast<std::int64_t>(options.step_timeout_s * kJoinTimeoutFactor * 1e6)};
  const auto comm = (*session)->connect(how);
  const Status ended = comm.ok() ? run_worker(**comm, options) : Status(comm.error());
  if (!ended.ok()) {
    log_error(ended.error().message);
    if (before_abort) before_abort();
    (*session)->abort(1);
  }
  return (*session)->finish();
}

}  // namespace

std::optional<LaunchedRank> launched_rank() {
  // OpenMPI's mpirun; MPICH and Slurm's PMI; Slurm with PMIx, which leaves the size to Slurm's own variable.
  constexpr const char* kNames[][2] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                       {"PMI_RANK", "PMI_SIZE"},
                                       {"PMIX_RANK", "SLURM_STEP_NUM_TASKS"}};
  for (const auto& [rank_name, size_name] : kNames) {
    const auto rank = environment_number(rank_name);
    const auto size = environment_number(size_name);
    if (rank && size && *rank >= 0 && *rank < *size) return LaunchedRank{*rank, *size};
  }
  return std::nullopt;
}

Status run_mpi_worker(const WorkerOptions& options) { return run_rank(options, nullptr); }

struct MpiRankThread::State {
  explicit State(PrivateEndpoint chosen) : endpoint(std::move(chosen)) {}
  PrivateEndpoint endpoint;
  std::atomic<bool> running{true};
  Status status;  // once not running
  std::thread thread;
};

Result<std::unique_ptr<MpiRankThread>> MpiRankThread::start(WorkerOptions options) {
  COLONNADE_ASSIGN(PrivateEndpoint endpoint, PrivateEndpoint::make());
  options.control = endpoint.address();
  options.secret = endpoint.secret();
  auto state = std::make_unique<State>(std::move(endpoint));
  State* const raw = state.get();
  std::unique_ptr<MpiRankThread> made(new MpiRankThread(std::move(state)));
  raw->thread = std::thread([raw, options = std::move(options)] {
    raw->status = run_rank(options, [raw] { raw->endpoint.remove(); });
    raw->running.store(false, std::memory_order_release);
  });
  // MPI_Init takes half a second; whoever connects afterwards must find the socket.
  while (!raw->endpoint.exists() && made->running()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  if (!made->running()) COLONNADE_TRY(raw->status);
  return made;
}

MpiRankThread::MpiRankThread(std::unique_ptr<State> state) : state_(std::move(state)) {}
MpiRankThread::~MpiRankThread() { (void)join(); }

const std::string& MpiRankThread::address() const { return state_->endpoint.address(); }
const std::string& MpiRankThread::secret() const { return state_->endpoint.secret(); }
bool MpiRankThread::running() const { return state_->running.load(std::memory_order_acquire); }

Status MpiRankThread::join() {
  if (state_->thread.joinable()) state_->thread.join();
  return state_->status;
}

}  // namespace colonnade::worker
