// What has arrived for one rank from ranks of the same process: a queue per sender and channel, and a doorbell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "engine/base/comm.h"
#include "engine/base/wait.h"

namespace colonnade {

/// Messages in order. Buffers are swapped in and out, so a queue that has seen its largest messages allocates nothing.
class MessageQueue {
 public:
  void push(std::span<const std::byte> bytes);
  /// False when empty; else swaps the oldest message with `out`, whose buffer is used again.
  bool pop(std::vector<std::byte>& out);

 private:
  std::vector<std::vector<std::byte>> ring_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

/// Any thread may put and ring; one thread takes and waits.
class Mailbox {
 public:
  explicit Mailbox(int n_senders) : queues_(static_cast<std::size_t>(n_senders) * kChannels) {}

  void put(int from, Channel channel, std::span<const std::byte> bytes);
  bool take(int from, Channel channel, std::vector<std::byte>& out);

  void ring() { bell_.ring(); }
  /// Returns when something came or somebody rang since the last wait() returned, at the latest after timeout_us.
  void wait(const WaitPolicy& policy, std::int64_t timeout_us);

 private:
  MessageQueue& queue(int from, Channel channel) {
    return queues_[static_cast<std::size_t>(from) * kChannels + static_cast<std::size_t>(channel)];
  }

  std::mutex mutex_;
  std::vector<MessageQueue> queues_;
  Doorbell bell_{};
  std::uint32_t seen_ = 0;  // of bell_, by the thread that waits
};

}  // namespace colonnade
