#include "coordinator/cli/facts_exchange.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"

namespace colonnade::cli {
namespace {

constexpr int kRounds = 10;  // the fastest of them has waited least, and says most about the clock
constexpr std::byte kAsk{1};
constexpr std::byte kLeave{2};

std::int64_t wall_clock_us() {
  return std::chrono::duration_cast<Microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Status receive_from(Communicator& comm, int from, Channel channel, std::vector<std::byte>& message, std::int64_t timeout_us) {
  auto received = comm.receive(from, channel, message, timeout_us);
  if (received.ok() || received.error().code != ErrorCode::kTimeout) return received;
  return Error{ErrorCode::kTimeout, text("rank ", from, " did not answer within ",
                                         format_seconds(static_cast<double>(timeout_us) * 1e-6),
                                         ": can its host be reached on the addresses that MPI chose?")};
}

/// Answers rank 0's questions for the time until it says leave.
Status answer(Communicator& comm, std::int64_t timeout_us) {
  std::vector<std::byte> message;
  for (;;) {
    COLONNADE_TRY(receive_from(comm, 0, Channel::kHeartbeat, message, timeout_us * comm.size()));
    if (message.size() != 1 || message[0] != kAsk) return {};
    const std::int64_t now = wall_clock_us();
    COLONNADE_TRY(comm.send(0, Channel::kHeartbeat, std::as_bytes(std::span(&now, 1))));
  }
}

Status measure_clock(Communicator& comm, int rank, std::int64_t timeout_us, HostFacts& facts) {
  std::vector<std::byte> message;
  double best_us = std::numeric_limits<double>::infinity();
  for (int round = 0; round < kRounds; ++round) {
    const std::int64_t sent = wall_clock_us();
    COLONNADE_TRY(comm.send(rank, Channel::kHeartbeat, std::span(&kAsk, 1)));
    COLONNADE_TRY(receive_from(comm, rank, Channel::kHeartbeat, message, timeout_us));
    const auto trip_us = static_cast<double>(wall_clock_us() - sent);
    std::int64_t theirs = 0;
    if (message.size() != sizeof theirs) return Error{ErrorCode::kCorrupt, text("rank ", rank, ": malformed answer")};
    std::memcpy(&theirs, message.data(), sizeof theirs);
    if (trip_us >= best_us) continue;
    best_us = trip_us;
    facts.round_trip_us = std::max(trip_us, 1.0);
    facts.clock_offset_s = (static_cast<double>(theirs - sent) - trip_us / 2) * 1e-6;
  }
  return comm.send(rank, Channel::kHeartbeat, std::span(&kLeave, 1));
}

}  // namespace

Result<std::vector<HostFacts>> exchange_facts(Communicator& comm, HostFacts mine, std::int64_t timeout_us) {
  mine.transport = comm.transport();
  if (comm.rank() != 0) {
    const std::string json = to_json(mine).dump();
    COLONNADE_TRY(comm.send(0, Channel::kSetup, std::as_bytes(std::span(json))));
    COLONNADE_TRY(answer(comm, timeout_us));
    return std::vector<HostFacts>{std::move(mine)};
  }
  std::vector<HostFacts> all{std::move(mine)};
  std::vector<std::byte> message;
  for (int rank = 1; rank < comm.size(); ++rank) {
    COLONNADE_TRY(receive_from(comm, rank, Channel::kSetup, message, timeout_us));
    const std::string_view json(reinterpret_cast<const char*>(message.data()), message.size());
    COLONNADE_ASSIGN(const Json parsed, parse_json(json, text("facts of rank ", rank)));
    COLONNADE_ASSIGN(HostFacts facts, host_facts_from_json(parsed));
    all.push_back(std::move(facts));
  }
  for (int rank = 1; rank < comm.size(); ++rank) {
    COLONNADE_TRY(measure_clock(comm, rank, timeout_us, all[static_cast<std::size_t>(rank)]));
  }
  return all;
}

}  // namespace colonnade::cli
