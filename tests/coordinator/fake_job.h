// The worker's end of the control link with the fake model behind it, on a thread of its own; it can misbehave.
#pragma once

#include <atomic>
#include <string>
#include <thread>

namespace colonnade::tests {

struct FakeJobOptions {
  int tcp_family = 0;               // AF_INET or AF_INET6: listens there, on the loopback; else on a Unix socket
  int hang_ups = 0;                 // closes so many connections without a word
  int n_pages = 64;
  int page_tokens = 4;
  int max_step_tokens = 16;
  int n_stages = 1;
  std::string secret = "secret";
  std::string welcome_refusal = {};      // not empty: Refused with it
  std::string failure = {};              // not empty: Status FAILED with it after Welcome
  bool silent = false;              // no heartbeats after READY
  bool garbage = false;             // bytes that are no frame after READY
  int close_after_steps = -1;       // closes instead of answering the next step
  int stall_after_steps = -1;       // goes on with heartbeats, answers no more steps
  std::string step_refusal = {};         // not empty: every step is refused with it
  bool in_pieces = false;           // frames arrive byte by byte
  int step_us = 0;                  // how long a step takes
};

class FakeJob {
 public:
  explicit FakeJob(const FakeJobOptions& options);
  ~FakeJob();
  FakeJob(const FakeJob&) = delete;
  FakeJob& operator=(const FakeJob&) = delete;

  const std::string& address() const { return address_; }  // with tcp_family: the port
  int n_steps() const { return n_steps_; }
  bool told_to_leave() const { return told_to_leave_; }

 private:
  void listen_at_path();
  void listen_at_port();
  void serve();

  const FakeJobOptions options_;
  std::string address_;
  int listener_ = -1;
  int wake_ = -1;
  std::atomic<int> n_steps_{0};
  std::atomic<bool> told_to_leave_{false};
  std::thread thread_;
};

}  // namespace colonnade::tests
