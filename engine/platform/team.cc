#include "engine/platform/team.h"

#include <pthread.h>
#include <sched.h>

#include <cstring>
#include <string>
#include <system_error>
#include <thread>

#include "engine/base/format_text.h"
#include "engine/base/wait.h"

namespace colonnade::engine {
namespace {

Status pin(pthread_t thread, int index, int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  int failure = EINVAL;
  if (cpu >= 0 && cpu < CPU_SETSIZE) {
    CPU_SET(static_cast<std::size_t>(cpu), &set);
    failure = pthread_setaffinity_np(thread, sizeof set, &set);
  }
  if (failure == 0) return {};
  return Error{ErrorCode::kInvalidArgument,
               text("cannot pin thread ", index, " to CPU ", cpu, ": ", std::strerror(failure),
                    " (is it online and granted to this process?)")};
}

}  // namespace

struct ThreadTeam::State {
  int n_threads = 1;
  WaitPolicy policy;
  std::vector<std::thread> threads;  // threads 1 … n_threads-1
  pthread_t caller{};
  cpu_set_t caller_cpus{};           // before pinning; given back by the destructor
  bool caller_pinned = false;

  // The task of the current generation; written before `start` rings, nullptr ends the thread.
  void (*function)(void*, int) = nullptr;
  void* context = nullptr;

  // Each word that is written by many has a cache line of its own.
  alignas(64) Doorbell start{};  // its count is the generation
  alignas(64) std::atomic<int> unfinished{0};
  alignas(64) Doorbell finished{};
  alignas(64) Barrier barrier{};

  void serve(int thread) {
    for (std::uint32_t seen = 0;; ++seen) {
      start.wait(policy, -1, FutexScope::kProcess, [&] { return start.count() != seen; });
      if (function == nullptr) return;
      function(context, thread);
      if (unfinished.fetch_sub(1, std::memory_order_acq_rel) == 1) finished.ring();
    }
  }

  void stop() {
    function = nullptr;
    start.ring();
    for (auto& thread : threads) thread.join();
    threads.clear();
    if (caller_pinned && pthread_equal(caller, pthread_self())) {
      pthread_setaffinity_np(caller, sizeof caller_cpus, &caller_cpus);
    }
  }
};

ThreadTeam::ThreadTeam(std::unique_ptr<State> state) : state_(std::move(state)) {}

ThreadTeam::~ThreadTeam() { state_->stop(); }

Result<std::unique_ptr<ThreadTeam>> ThreadTeam::make(std::span<const int> cpus, int n_threads, int spin_us) {
  if (!cpus.empty()) n_threads = static_cast<int>(cpus.size());
  if (n_threads < 1) {
    return Error{ErrorCode::kInvalidArgument, text("a thread team needs at least 1 thread, asked for ", n_threads)};
  }
  auto state = std::make_unique<State>();
  state->n_threads = n_threads;
  state->policy = spin_us > 0 ? WaitPolicy{spin_us, 2} : WaitPolicy{0, 0};
  state->caller = pthread_self();
  // From here on the destructor stops whatever was started.
  std::unique_ptr<ThreadTeam> team(new ThreadTeam(std::move(state)));
  State& s = *team->state_;
  try {
    s.threads.reserve(static_cast<std::size_t>(n_threads - 1));
    for (int i = 1; i < n_threads; ++i) {
      s.threads.emplace_back([&s, i] { s.serve(i); });
      pthread_setname_np(s.threads.back().native_handle(), text("core ", i).c_str());
    }
  } catch (const std::system_error& error) {
    return Error{ErrorCode::kExhausted,
                 text("cannot start thread ", s.threads.size() + 1, " of ", n_threads, ": ", error.what())};
  }
  if (cpus.empty()) return team;
  if (pthread_getaffinity_np(s.caller, sizeof s.caller_cpus, &s.caller_cpus) == 0) s.caller_pinned = true;
  COLONNADE_TRY(pin(s.caller, 0, cpus[0]));
  for (std::size_t i = 1; i < cpus.size(); ++i) {
    COLONNADE_TRY(pin(s.threads[i - 1].native_handle(), static_cast<int>(i), cpus[i]));
  }
  return team;
}

int ThreadTeam::size() const { return state_->n_threads; }

void ThreadTeam::run_raw(void (*function)(void* context, int thread), void* context) {
  State& s = *state_;
  if (s.n_threads == 1) return function(context, 0);
  s.function = function;
  s.context = context;
  s.unfinished.store(s.n_threads - 1, std::memory_order_relaxed);
  s.start.ring();
  function(context, 0);
  s.finished.wait(s.policy, -1, FutexScope::kProcess,
                  [&] { return s.unfinished.load(std::memory_order_acquire) == 0; });
}

void ThreadTeam::barrier() {
  if (state_->n_threads == 1) return;
  state_->barrier.arrive_and_wait(static_cast<std::uint32_t>(state_->n_threads), state_->policy);
}

}  // namespace colonnade::engine
