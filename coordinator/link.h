// The coordinator's end of the control link (worker/control.proto): connects to rank 0 of a job, says Hello, and then
// carries steps one way and status and results the other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "engine/base/result.h"

namespace boost::asio {
class io_context;
}
namespace colonnade::control {
class Status;
class Step;
class StepResult;
class Welcome;
}  // namespace colonnade::control

namespace colonnade::coordinator {

struct LinkOptions {
  std::string address;              // "unix:/path" or "tcp:host:port"
  std::string secret;
  double connect_timeout_s = 120;   // until Welcome: the job may still be starting
  double heartbeat_timeout_s = 15;  // after Welcome: a job that says nothing for so long is gone
};

/// Called on the io_context's thread. on_closed is the last call, once: kTimeout, kUnauthenticated, kCorrupt,
/// kUnavailable, or kInvalidArgument for an address that is none.
struct LinkEvents {
  std::function<void(const control::Welcome&)> on_welcome;
  std::function<void(const control::Status&)> on_status;
  /// `received_us` (now_us) is when its bytes were read, before they were parsed.
  std::function<void(const control::StepResult&, std::int64_t received_us)> on_result;
  std::function<void(const Error&)> on_closed;
};

/// Used on the io_context's thread only.
class Link {
 public:
  Link(boost::asio::io_context& io, LinkOptions options, LinkEvents events);
  ~Link();  // closes; no event comes after
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// The step that the next send_step() sends: filled in place, so nothing is copied.
  control::Step& step();
  void send_step();

  /// Tells the job to leave; `sent` is called when that is on its way or cannot be.
  void send_shutdown(std::function<void()> sent);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace colonnade::coordinator
