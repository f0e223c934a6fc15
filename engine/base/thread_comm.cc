#include "engine/base/thread_comm.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <thread>

#include "engine/base/format_text.h"
#include "engine/base/mailbox.h"

namespace colonnade {
namespace {

constexpr std::align_val_t kPage{4096};

/// Zeroed memory that the members of one join share.
struct JoinMemory {
  JoinMemory(std::vector<int> members, std::size_t floats)
      : ranks(std::move(members)), max_floats(floats), attached(ranks.size(), false) {
    const std::size_t bytes = shared_join_bytes(static_cast<int>(ranks.size()), max_floats);
    data = static_cast<std::byte*>(::operator new(bytes, kPage));
    std::fill_n(data, bytes, std::byte{0});
  }
  ~JoinMemory() { ::operator delete(data, kPage); }
  JoinMemory(const JoinMemory&) = delete;
  JoinMemory& operator=(const JoinMemory&) = delete;

  std::vector<int> ranks;
  std::size_t max_floats;
  std::vector<bool> attached;
  std::byte* data = nullptr;
};

}  // namespace

WaitPolicy wait_policy_for(int threads, int cores) {
  if (cores <= 0) cores = static_cast<int>(std::thread::hardware_concurrency());
  return threads <= cores ? WaitPolicy{} : WaitPolicy{.spin_us = 0, .yields = 2};
}

struct ThreadJob::State {
  ThreadJobOptions options;
  std::vector<std::unique_ptr<Mailbox>> mailboxes;
  std::vector<std::unique_ptr<Communicator>> comms;
  std::atomic<bool> ended{false};
  std::mutex joins_mutex;
  std::vector<std::shared_ptr<JoinMemory>> joins;  // all of them, so that end() reaches those who wait
};

class ThreadJob::ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(State& state, int rank) : state_(state), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(state_.mailboxes.size()); }
  std::string transport() const override { return size() == 1 ? "one rank" : "threads"; }

  Status send(int to, Channel channel, std::span<const std::byte> bytes) override {
    COLONNADE_CHECK(to >= 0 && to < size(), "no such rank");
    if (state_.ended.load(std::memory_order_acquire)) return ended_error();
    state_.mailboxes[static_cast<std::size_t>(to)]->put(rank_, channel, bytes);
    return {};
  }

  Result<bool> try_receive(int from, Channel channel, std::vector<std::byte>& out) override {
    COLONNADE_CHECK(from >= 0 && from < size(), "no such rank");
    if (own().take(from, channel, out)) return true;
    if (state_.ended.load(std::memory_order_acquire)) return ended_error();
    return false;
  }

  void wait(std::int64_t timeout_us) override {
    if (!state_.ended.load(std::memory_order_acquire)) own().wait(state_.options.join.wait, timeout_us);
  }

  void wake() override { own().ring(); }

  Result<std::unique_ptr<Join>> make_join(std::span<const int> members, std::size_t max_floats) override {
    const auto place = std::find(members.begin(), members.end(), rank_);
    COLONNADE_CHECK(place != members.end(), "a rank makes a join that it is no member of");
    const auto index = static_cast<std::size_t>(place - members.begin());
    const std::lock_guard lock(state_.joins_mutex);
    if (state_.ended.load(std::memory_order_acquire)) return ended_error();
    // The members make their joins in the same order, so the first one of this group that this rank has not taken
    // yet is the one that the others mean.
    std::shared_ptr<JoinMemory> memory;
    for (const auto& candidate : state_.joins)
      if (std::equal(members.begin(), members.end(), candidate->ranks.begin(), candidate->ranks.end()) &&
          !candidate->attached[index]) {
        memory = candidate;
        break;
      }
    if (memory == nullptr) {
      memory = std::make_shared<JoinMemory>(std::vector<int>(members.begin(), members.end()), max_floats);
      state_.joins.push_back(memory);
    }
    COLONNADE_CHECK(memory->max_floats == max_floats, "members of a join differ in its size");
    memory->attached[index] = true;
    return std::unique_ptr<Join>(new SharedJoin(memory->data, members, static_cast<int>(index), max_floats,
                                                state_.options.join, nullptr, memory));
  }

  std::vector<int> host_mates() const override {
    std::vector<int> all(static_cast<std::size_t>(size()));
    for (int rank = 0; rank < size(); ++rank) all[static_cast<std::size_t>(rank)] = rank;
    return all;
  }

 private:
  Mailbox& own() { return *state_.mailboxes[static_cast<std::size_t>(rank_)]; }
  Error ended_error() const { return {ErrorCode::kUnavailable, text("rank ", rank_, ": the job was ended")}; }

  State& state_;
  int rank_;
};

ThreadJob::ThreadJob(int n_ranks) : ThreadJob(n_ranks, {.join = {.wait = wait_policy_for(n_ranks)}}) {}

ThreadJob::ThreadJob(int n_ranks, const ThreadJobOptions& options) : state_(std::make_unique<State>()) {
  COLONNADE_CHECK(n_ranks >= 1, "a job has at least one rank");
  state_->options = options;
  for (int rank = 0; rank < n_ranks; ++rank) {
    state_->mailboxes.push_back(std::make_unique<Mailbox>(n_ranks));
    state_->comms.push_back(std::make_unique<ThreadCommunicator>(*state_, rank));
  }
}

ThreadJob::~ThreadJob() = default;

int ThreadJob::size() const { return static_cast<int>(state_->comms.size()); }
Communicator& ThreadJob::comm(int rank) { return *state_->comms.at(static_cast<std::size_t>(rank)); }

void ThreadJob::end() {
  const std::lock_guard lock(state_->joins_mutex);
  state_->ended.store(true, std::memory_order_release);
  for (const auto& join : state_->joins) shared_join_end(join->data, static_cast<int>(join->ranks.size()));
  for (const auto& mailbox : state_->mailboxes) mailbox->ring();
}

}  // namespace colonnade
