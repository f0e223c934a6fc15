// A coordinator's end of the control link for tests: blocking, one frame at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/control.pb.h"

namespace colonnade::tests {

/// Throws std::runtime_error when the link breaks or nothing comes for 30 s, which fails the test.
class ControlTestClient {
 public:
  explicit ControlTestClient(const std::string& address);  // "unix:/path"; tries for 5 s
  ~ControlTestClient();
  ControlTestClient(const ControlTestClient&) = delete;
  ControlTestClient& operator=(const ControlTestClient&) = delete;

  void send(const control::Frame& frame);
  void send_raw(const std::string& bytes);
  void hello(const std::string& secret, const std::string& version);

  control::Frame receive();
  /// True when the other side has closed.
  bool at_end();

  /// The next frame that is no Status; Statuses are kept in `statuses`.
  control::Frame receive_answer();
  /// Says hello, takes the Welcome and waits for READY.
  control::Welcome enter(const std::string& secret);

  std::vector<control::Status> statuses;

 private:
  bool read_exactly(char* to, std::size_t count);
  int descriptor_;
};

/// One sequence: tokens at positions from `first_position` on, pages 0, 1, …; the last token's logits choose greedily.
control::Frame greedy_step(std::uint64_t id, const std::vector<std::int32_t>& tokens, int first_position);

}  // namespace colonnade::tests
