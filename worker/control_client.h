// One accepted connection of the control link: bytes in, frames out, and what is still to be sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "worker/control.pb.h"

namespace colonnade::worker {

/// Owns the socket. Not thread-safe: the caller locks.
class ControlClient {
 public:
  ControlClient(int descriptor, std::int64_t since_us) : descriptor_(descriptor), since_us_(since_us) {}
  ~ControlClient();
  ControlClient(const ControlClient&) = delete;
  ControlClient& operator=(const ControlClient&) = delete;

  int descriptor() const { return descriptor_; }
  std::int64_t since_us() const { return since_us_; }
  bool closed() const { return closed_; }

  /// Reads what is there and, when a whole frame has come, parses it into `frame` and returns true. kCorrupt for bytes
  /// that are no frame, or one above `limit`.
  Result<bool> receive(std::size_t limit, control::Frame& frame);

  /// Queues a frame and sends as much as the socket takes now.
  void send(const control::Frame& frame);
  /// Sends what is queued, as much as the socket takes now.
  void flush();
  std::size_t pending_bytes() const { return output_.size() - sent_; }

  /// Sends Refused with the reason.
  void refuse(const std::string& reason);

 private:
  void read_some();

  int descriptor_;
  std::int64_t since_us_;
  bool closed_ = false;
  std::vector<std::byte> input_;
  std::size_t parsed_ = 0;  // bytes of input_ that are done with
  std::vector<std::byte> output_;
  std::size_t sent_ = 0;
};

}  // namespace colonnade::worker
