#include "worker/step_loop.h"

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "engine/base/format_text.h"
#include "engine/model/step.h"

namespace colonnade::worker {
namespace {

/// Steps whose results are not back yet, oldest first. Ranks work in order, so results come in order.
class InFlight {
 public:
  bool empty() const { return count_ == 0; }
  bool full() const { return count_ == tickets_.size(); }
  const StepTicket& oldest() const { return tickets_[first_]; }
  void push(const StepTicket& ticket) { tickets_[(first_ + count_++) % tickets_.size()] = ticket; }
  void pop_oldest() {
    first_ = (first_ + 1) % tickets_.size();
    --count_;
  }
  void pop_newest() { --count_; }

 private:
  // A pipeline is never longer than its stages; this is room for any number of them, and a bound for memory.
  std::array<StepTicket, 256> tickets_{};
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

/// Rank 0's loop; buffers live as long as it.
class Leader {
 public:
  Leader(StepLoop& loop, ControlServer& server) : loop_(loop), server_(server) {}

  Status run() {
    for (;;) {
      COLONNADE_ASSIGN(const bool returned, take_result());
      bool ran = false;
      if (!in_flight_.full() && server_.take(step_, ticket_)) {
        COLONNADE_TRY(run_step());
        ran = true;
      }
      if (returned || ran) continue;
      if (in_flight_.empty() && server_.shutdown_asked()) return send_to_all({});
      const double alone_s = server_.alone_seconds();
      if (alone_s > loop_.grace_s) {
        COLONNADE_TRY(send_to_all({}));
        return Error{ErrorCode::kUnavailable, text("no coordinator for ", loop_.grace_s, " s, the job ends")};
      }
      COLONNADE_TRY(loop_.heartbeat.beat(in_flight_.empty() ? 0 : loop_.step_timeout_s));
      loop_.comm.wait(loop_.heartbeat.next_us());
    }
  }

 private:
  Status send_to_all(std::span<const std::byte> bytes) {
    for (int rank = 1; rank < loop_.comm.size(); ++rank) COLONNADE_TRY(loop_.comm.send(rank, Channel::kStep, bytes));
    return {};
  }

  /// Passes on a result that came from the head leader.
  Result<bool> take_result() {
    if (loop_.head_leader == 0 || in_flight_.empty()) return false;
    COLONNADE_ASSIGN(const bool came, loop_.comm.try_receive(loop_.head_leader, Channel::kResults, bytes_));
    if (!came) return false;
    COLONNADE_TRY(engine::read_result(bytes_, result_));
    if (result_.id != in_flight_.oldest().id)
      return Error{ErrorCode::kCorrupt, text("rank ", loop_.head_leader, " sent the result of step ", result_.id,
                                             ", expected step ", in_flight_.oldest().id)};
    server_.send_result(in_flight_.oldest(), result_);
    in_flight_.pop_oldest();
    loop_.heartbeat.all_alive();
    return true;
  }

  Status run_step() {
    engine::write_step(step_, bytes_);
    COLONNADE_TRY(send_to_all(bytes_));
    in_flight_.push(ticket_);
    const Result<bool> done = loop_.executor.run(step_, result_);
    if (!done.ok()) {
      if (done.error().code != ErrorCode::kInvalidArgument) return done.error();
      server_.send_refusal(ticket_, done.error().message);  // every rank has refused it for the same reason
      in_flight_.pop_newest();
      return {};
    }
    if (*done) {
      server_.send_result(in_flight_.oldest(), result_);
      in_flight_.pop_oldest();
      loop_.heartbeat.all_alive();
    }
    return {};
  }

  StepLoop& loop_;
  ControlServer& server_;
  InFlight in_flight_;
  engine::Step step_;
  StepTicket ticket_;
  engine::StepResult result_;
  std::vector<std::byte> bytes_;
};

}  // namespace

Status lead_steps(StepLoop& loop, ControlServer& server) { return Leader(loop, server).run(); }

Status follow_steps(StepLoop& loop) {
  engine::Step step;
  engine::StepResult result;
  std::vector<std::byte> bytes;
  for (;;) {
    COLONNADE_ASSIGN(const bool came, loop.comm.try_receive(0, Channel::kStep, bytes));
    if (!came) {
      COLONNADE_TRY(loop.heartbeat.beat());
      loop.comm.wait(loop.heartbeat.next_us());
      continue;
    }
    if (bytes.empty()) return {};
    COLONNADE_TRY(engine::read_step(bytes, step));
    const Result<bool> done = loop.executor.run(step, result);
    if (!done.ok()) {
      if (done.error().code == ErrorCode::kInvalidArgument) continue;  // rank 0 tells the coordinator
      return done.error();
    }
    if (*done) {
      engine::write_result(result, bytes);
      COLONNADE_TRY(loop.comm.send(0, Channel::kResults, bytes));
    }
    loop.heartbeat.all_alive();
  }
}

}  // namespace colonnade::worker
