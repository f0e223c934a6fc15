// Messages of one rank: sends under way, and what has arrived, kept in order by sender and channel. Buffers are used
// again and again.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/comm.h"

namespace colonnade::worker::mpi {

/// Sends of copies. Says whose message is on its way at last when that took longer than the call, since the receiver
/// may have gone to sleep meanwhile.
class Outbox {
 public:
  explicit Outbox(MPI_Comm comm) : comm_(comm) {}

  Status send(int to, Channel channel, std::span<const std::byte> bytes);
  /// Tests what is under way; `finished(rank)` is called for every message that is done now.
  template <typename Finished>
  Status advance(const Finished& finished) {
    for (std::size_t i = 0; i < active_.size();) {
      COLONNADE_ASSIGN(const bool done, test(active_[i]));
      if (!done) {
        ++i;
        continue;
      }
      finished(active_[i]->to);
      idle_.push_back(std::move(active_[i]));
      active_[i] = std::move(active_.back());
      active_.pop_back();
    }
    return {};
  }
  bool busy() const { return !active_.empty(); }

 private:
  struct Message {
    std::vector<std::byte> bytes;
    MPI_Request request = MPI_REQUEST_NULL;
    int to = 0;
  };
  static Result<bool> test(const std::unique_ptr<Message>& message);

  MPI_Comm comm_;
  std::vector<std::unique_ptr<Message>> active_;
  std::vector<std::unique_ptr<Message>> idle_;
};

/// Takes every message off MPI as soon as it is seen: MPI's own queue then tells only of new ones, and a sender never
/// waits for this rank to ask for a certain message first.
class Inbox {
 public:
  Inbox(MPI_Comm comm, int n_senders) : comm_(comm), queues_(static_cast<std::size_t>(n_senders) * kChannels) {}

  /// True when a message has come or has become whole.
  Result<bool> advance();
  Result<bool> take(int from, Channel channel, std::vector<std::byte>& out);
  /// Messages that have come so far, and those of them that only tell that a rank is alive.
  std::uint64_t n_messages() const { return n_messages_; }
  std::uint64_t n_heartbeats() const { return n_heartbeats_; }
  /// Parts of a large message are still to come.
  bool busy() const { return !incomplete_.empty(); }

 private:
  struct Message {
    std::vector<std::byte> bytes;
    MPI_Request request = MPI_REQUEST_NULL;
    bool whole = false;
  };
  /// A ring of messages in order of arrival.
  struct Queue {
    std::vector<std::unique_ptr<Message>> ring;
    std::size_t first = 0;
    std::size_t count = 0;
    Message& at(std::size_t i) { return *ring[(first + i) % ring.size()]; }
    Message& push();
  };

  MPI_Comm comm_;
  std::vector<Queue> queues_;
  std::vector<Message*> incomplete_;
  std::uint64_t n_messages_ = 0;
  std::uint64_t n_heartbeats_ = 0;
};

}  // namespace colonnade::worker::mpi
