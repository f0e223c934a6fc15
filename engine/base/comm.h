// The abstract communicator: how ranks of one job talk. Three implementations: one rank alone (self_comm),
// ranks as threads of one process (thread_comm), and MPI (worker/comm_mpi). Only one thread of a rank, its step
// thread, calls a communicator, except where a function says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/base/result.h"

namespace colonnade {

/// Messages between one pair of ranks on one channel arrive in the order they were sent.
enum class Channel : int { kStep = 0, kActivations, kCandidates, kResults, kSetup, kHeartbeat };
inline constexpr int kChannels = 6;

/// Where columns of several ranks meet: a sum over the members of a group, see DESIGN "join". Collective: every
/// member makes the same calls in the same order. Created once, used for the whole run; allocates nothing later.
class Join {
 public:
  virtual ~Join() = default;

  virtual int size() const = 0;   // members
  virtual int index() const = 0;  // this rank's place among the members

  /// Where this rank writes its contribution to the next reduce(): max_floats floats, 64-byte aligned. To be written until
  /// that reduce(); the address changes from one reduce() to the next (two buffers alternate), so ask every time. A join
  /// of one member leaves what it holds as it is: it may be read until the next contribution is written.
  virtual float* contribution() = 0;

  /// x[i] = x[i] + (contribution of member 0)[i] + … + (member n-1)[i] for i < count, added in an order that
  /// depends on the group only; every member gets the same bits provided all pass the same x. `team` spreads the
  /// additions over this rank's cores; count may be 0, to meet only. kUnavailable or kTimeout when a member is gone.
  virtual Status reduce(float* x, std::size_t count, Parallel& team) = 0;

  /// Every member gives `bytes_each` bytes and gets all members' bytes in member order: out has
  /// size() * bytes_each bytes.
  virtual Status all_gather(const void* mine, std::size_t bytes_each, void* out) = 0;
};

class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// What carries the messages, for people: "threads", "MPI (shared memory)", "MPI (shared memory, tcp)".
  virtual std::string transport() const = 0;

  /// Sends a copy of `bytes`; returns before it has arrived and never waits for the receiver. Buffers are reused:
  /// in a steady state nothing is allocated.
  virtual Status send(int to, Channel channel, std::span<const std::byte> bytes) = 0;

  /// If a message from `from` on `channel` has arrived, replaces `out` with it and returns true. Never waits.
  /// Reuses out's capacity.
  virtual Result<bool> try_receive(int from, Channel channel, std::vector<std::byte>& out) = 0;

  /// Waits (DESIGN "one wait loop": spin, yield, sleep) until something may have happened for this rank: a message
  /// arrived, or wake() was called; returns at the latest after `timeout_us`. Spurious returns are allowed. Also
  /// moves pending sends along.
  virtual void wait(std::int64_t timeout_us) = 0;

  /// Ends this rank's current or next wait(). Callable from any thread of the rank's process.
  virtual void wake() = 0;

  /// A join over `members` (ranks in ascending order, this rank among them), for at most max_floats a reduce().
  /// Collective over the members.
  virtual Result<std::unique_ptr<Join>> make_join(std::span<const int> members, std::size_t max_floats) = 0;

  /// Ranks on this rank's host, ascending: they share cores and memory.
  virtual std::vector<int> host_mates() const = 0;

  /// try_receive and wait until the message is there. kTimeout after timeout_us (negative: never).
  Status receive(int from, Channel channel, std::vector<std::byte>& out, std::int64_t timeout_us = -1);
};

}  // namespace colonnade
