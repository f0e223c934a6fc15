// The generator that serves real requests: scheduler and control link on one thread. Lives as long as the
// coordinator; worker jobs come and go behind it. While there is no job, requests wait in the queue.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "coordinator/generator.h"
#include "engine/base/result.h"

namespace colonnade::coordinator {

struct ServiceOptions {
  int vocab_size = 0;
  int context_tokens = 4096;      // longest sequence
  int n_pages = 0;                // KV pages that the job will have; the job's own number replaces it
  int page_tokens = 32;
  int n_window_pages = 0;         // of layers with windows; 0: they use the others; likewise
  int window_tokens = 0;          // the widest window; likewise
  int max_step_tokens = 512;
  int max_running = 256;          // sequences in one step at most
  int max_waiting = 4096;         // requests in the queue; more are refused with kExhausted
  int n_stages = 1;
  bool prefix_reuse = true;
  int vector_dim = 0;             // of an encoder; 0: the model generates
  int n_token_types = 1;          // of an encoder
  double step_deadline_s = 120;   // a step that takes longer means that the job is stuck
  double heartbeat_timeout_s = 15;
  double connect_timeout_s = 60;  // from connect() to the job's Welcome
};

enum class JobPhase { kNone, kConnecting, kLoading, kReady, kStopped };

/// Where the job stands, for /health and wait_ready().
struct JobState {
  JobPhase phase = JobPhase::kNone;
  std::uint64_t loaded_bytes = 0;
  std::uint64_t total_bytes = 0;
  std::string message;            // why the last job ended, "" when none did
  int n_ranks = 0;
  int n_stages = 0;
  std::string kernels;            // "avx512"
  std::string transport;
  std::string plan;

  /// 0 … 100
  double percent() const {
    return phase == JobPhase::kReady ? 100.0
           : total_bytes == 0 ? 0.0
                              : 100.0 * static_cast<double>(loaded_bytes) / static_cast<double>(total_bytes);
  }
};

/// Counts since the start, for /metrics.
struct ServiceCounters {
  std::uint64_t steps = 0;
  std::uint64_t prompt_tokens = 0;       // computed, not counting what prefix reuse saved
  std::uint64_t reused_tokens = 0;
  std::uint64_t generated_tokens = 0;
  std::uint64_t requests = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t job_losses = 0;
  std::uint64_t running = 0;             // sequences now
  std::uint64_t waiting = 0;
  std::uint64_t pages_used = 0;          // pages that sequences hold now
  std::uint64_t pages_cached = 0;        // kept for reuse, free to take
  std::uint64_t pages_total = 0;
  std::uint64_t window_pages_used = 0;   // the same of layers with windows, where those have pages of their own
  std::uint64_t window_pages_cached = 0;
  std::uint64_t window_pages_total = 0;
  double compute_us = 0;                 // sum over steps, as told by rank 0
  double coordinator_us = 0;             // sum over steps: this thread's own work
};

/// Where rank 0 of a job listens.
struct JobEndpoint {
  std::string address;  // "unix:/path" or "tcp:host:port"
  std::string secret;   // raw bytes
};

/// Thread-safe. Callbacks of requests come on the service's own thread.
class GenerationService final : public Generator {
 public:
  explicit GenerationService(const ServiceOptions& options);
  ~GenerationService() override;  // stop()

  Result<GenerationId> submit(GenerationRequest request, GenerationCallbacks callbacks) override;
  void cancel(GenerationId id) override;

  /// Connects to a job, trying again until connect_timeout_s: it may still be starting. `on_lost` is called once,
  /// on the service's thread, when this job is gone or stuck and must be ended.
  void connect(const JobEndpoint& endpoint, std::function<void(const Error&)> on_lost);

  /// The job is known to be dead (its process ended): the same as if the link had broken. Calls on_lost.
  void job_died(const Error& error);

  /// No job will follow the one that ended last: whoever waits gets its error, and so does every new request.
  void give_up();

  /// Blocks until the job is ready; fails when a job ended before it was ready, after give_up(), or with kCancelled
  /// after stop().
  Status wait_ready();

  /// wait_ready() would fail now.
  bool start_failed() const;

  /// Jobs that became ready, since the start.
  std::uint64_t jobs_ready() const;

  JobState state() const;
  ServiceCounters counters() const;
  int context_tokens() const;

  /// Refuses new requests, lets the running and waiting ones finish for at most `seconds`. True when all finished.
  bool drain(double seconds);

  /// Tells the job to leave (Shutdown frame), cancels what runs and ends the thread. Idempotent.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace colonnade::coordinator
