// A join through memory that all members see: threads of one process, or processes of one host with a shared
// mapping. Contributions alternate between two buffers, so one reduce() needs no barrier at its end.
//
// Two ways to add, same bits: "direct": one barrier, then every member adds everything for itself (fewest waits,
// best for little data or two members); "owner": every member adds its part of the elements, a second barrier, then
// all copy the sums (each contribution is read once, best for much data).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/comm.h"
#include "engine/base/wait.h"

namespace colonnade {

enum class JoinAlgorithm { kAuto, kDirect, kOwner };

struct JoinOptions {
  WaitPolicy wait;
  std::int64_t timeout_us = 60'000'000;  // a member that has not come by then is gone; negative: wait for ever
  JoinAlgorithm algorithm = JoinAlgorithm::kAuto;
};

/// Moves other traffic along while a member waits in a join.
class Traffic {
 public:
  virtual ~Traffic() = default;
  /// True when something is under way that needs another poll soon.
  virtual bool poll() = 0;
};

/// Bytes of the shared memory of a join, which must be zero before the first member begins and 64-byte aligned.
std::size_t shared_join_bytes(int members, std::size_t max_floats);

/// Used by one thread, except for shared_join_end(). The memory must outlive it: `keep_alive` may own it.
class SharedJoin final : public Join {
 public:
  /// `ranks` are the members' ranks (for messages), `index` this one's place among them. `progress` may be null.
  SharedJoin(std::byte* memory, std::span<const int> ranks, int index, std::size_t max_floats, JoinOptions options,
             Traffic* progress, std::shared_ptr<void> keep_alive);

  int size() const override { return static_cast<int>(ranks_.size()); }
  int index() const override { return index_; }
  float* contribution() override;
  Status reduce(float* x, std::size_t count, Parallel& team) override;
  Status all_gather(const void* mine, std::size_t bytes_each, void* out) override;

  // The pieces that a join over several hosts is made of (worker/comm_mpi): add_up() leaves the sum of this host's
  // contributions in total(), visible to all members, and turns the contribution buffers; meet() is a barrier.
  Status add_up(std::size_t count, Parallel& team);
  float* total();
  Status meet();

 private:
  float* buffer(unsigned parity, int member) const;
  std::byte* gather_slot(unsigned parity, int member) const;
  void add_contributions(float* sum, std::size_t begin, std::size_t end) const;
  void turn_buffers() { parity_ ^= 1u; }
  Status wait_for(int member, std::uint32_t sequence);
  bool is_direct(std::size_t count) const;

  std::byte* memory_;
  std::vector<int> ranks_;
  int index_;
  std::size_t max_floats_;
  JoinOptions options_;
  Traffic* progress_;
  std::shared_ptr<void> keep_alive_;
  std::uint32_t sequence_ = 0;  // of the last barrier
  unsigned parity_ = 0;         // which contribution buffer is next
  unsigned gather_parity_ = 0;
};

/// Ends all waiting in the join that lies in `memory`, now and later, with kUnavailable. Any thread.
void shared_join_end(std::byte* memory, int members);

}  // namespace colonnade
