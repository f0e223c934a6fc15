// Rank 0's end of the control link (control.proto): listens, lets one coordinator in, queues its steps for the step
// thread and sends it status and results. A thread of its own does the waiting on sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "engine/model/step.h"

namespace colonnade::worker {

/// What a Welcome says.
struct JobFacts {
  int n_ranks = 1;
  int n_stages = 1;
  int n_pages = 0;
  int n_window_pages = 0;
  int window_tokens = 0;
  int max_step_tokens = 0;
  std::string kernels;
  std::string transport;
  std::string plan;  // one line
};

enum class JobPhase { kStarting, kLoading, kReady, kDraining, kFailed };

/// Whom to answer: results for a coordinator that has left meanwhile are dropped.
struct StepTicket {
  std::uint64_t id = 0;
  std::uint64_t session = 0;
  std::int64_t arrived_us = 0;
};

/// Functions are for any thread unless they say otherwise.
class ControlServer {
 public:
  /// `wake` is called, from the server's thread, when take() has something new.
  static Result<std::unique_ptr<ControlServer>> start(const std::string& address, std::string secret,
                                                      std::function<void()> wake);
  /// Sends what is left to send for at most a second, then closes.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  /// With the port that was chosen for port 0.
  const std::string& address() const;

  /// From now on coordinators are welcomed; who came earlier waits for this.
  void set_facts(const JobFacts& facts);
  void set_phase(JobPhase phase, std::string message = "");
  void set_loaded(std::uint64_t loaded_bytes, std::uint64_t total_bytes);

  /// Moves the oldest queued step into `step` (buffers are swapped). Step thread only.
  bool take(engine::Step& step, StepTicket& ticket);
  /// True once Shutdown has arrived and take() has given everything that came before.
  bool shutdown_asked() const;

  void send_result(const StepTicket& ticket, const engine::StepResult& result);
  void send_refusal(const StepTicket& ticket, const std::string& reason);

  /// Seconds since a coordinator was last connected (or since the start); 0 while one is.
  double alone_seconds() const;
  /// A coordinator has been connected, and was told the present phase.
  bool phase_told() const;

 private:
  struct State;
  explicit ControlServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace colonnade::worker
