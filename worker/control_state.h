// What the control link's thread and the step thread share: the one coordinator, its queued steps, and what is told to
// it. All functions lock; the server thread calls those in the second half.
#pragma once

#include <poll.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <google/protobuf/arena.h>

#include "engine/base/result.h"
#include "engine/model/step.h"
#include "worker/control.pb.h"
#include "worker/control_client.h"
#include "worker/control_server.h"

namespace colonnade::worker {

/// Memory for building or parsing one message: small ones allocate nothing.
class MessageArena {
 public:
  explicit MessageArena(std::size_t bytes);
  control::Frame& fresh_frame();

 private:
  std::vector<char> block_;
  google::protobuf::Arena arena_;
};

class ControlState {
 public:
  ControlState(std::string secret, std::function<void()> wake);
  ~ControlState();

  void set_facts(const JobFacts& facts);
  void set_phase(JobPhase phase, std::string message);
  void set_loaded(std::uint64_t loaded_bytes, std::uint64_t total_bytes);
  bool take(engine::Step& step, StepTicket& ticket);
  bool shutdown_asked() const;
  void send_result(const StepTicket& ticket, const engine::StepResult& result);
  void send_refusal(const StepTicket& ticket, const std::string& reason);
  double alone_seconds() const;
  bool phase_told() const;
  void stop();

  // For the server thread.
  int wake_descriptor() const { return wake_descriptor_; }
  void clear_wake();
  bool stopping() const;
  Status check_hello(const control::Frame& frame) const;
  void admit(std::unique_ptr<ControlClient> client);
  pollfd client_poll() const;
  bool wants_frames() const;
  /// Takes one frame of the client; false when there is none. An error ends the connection.
  Result<bool> receive();
  void drop_client(const std::string& reason);
  void flush();
  bool has_output() const;
  bool status_changed() const;
  void send_status();

 private:
  struct QueuedStep {
    engine::Step step;
    StepTicket ticket;
  };
  // More than any scheduler keeps in flight; a full queue stops reading from the coordinator.
  static constexpr std::size_t kQueueSteps = 64;

  void wake_server();
  void greet();
  Status queue_step(const control::Step& proto);
  void close_client();

  const std::string secret_;
  const std::function<void()> wake_;
  int wake_descriptor_;

  mutable std::mutex mutex_;
  std::unique_ptr<ControlClient> client_;
  std::uint64_t session_ = 0;       // of client_
  bool greeted_ = false;            // it has its Welcome
  bool have_facts_ = false;
  JobFacts facts_;
  JobPhase phase_ = JobPhase::kStarting;
  std::string message_;
  std::uint64_t loaded_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
  bool status_changed_ = false;
  bool phase_told_ = false;
  std::int64_t alone_since_us_;
  std::array<QueuedStep, kQueueSteps> queue_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  bool shutdown_ = false;
  bool stopping_ = false;
  MessageArena incoming_;
  MessageArena outgoing_;
};

}  // namespace colonnade::worker
