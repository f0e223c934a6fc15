#include "worker/heartbeat.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"

namespace colonnade::worker {
namespace {

constexpr std::int64_t kIntervalUs = 1'000'000;
// While loading, rank 0 shows progress, so the others report more often.
constexpr std::int64_t kLoadingIntervalUs = 250'000;

/// A beat is {loaded, total}; a last word is those and a text.
constexpr std::size_t kBeatBytes = 16;

}  // namespace

Heartbeat::Heartbeat(Communicator& comm, double timeout_s) : comm_(comm), timeout_s_(timeout_s) {
  const std::int64_t now = now_us();
  if (comm.rank() != 0) {
    peers_.push_back({0, now});
  } else {
    for (int rank = 1; rank < comm.size(); ++rank) peers_.push_back({rank, now});
  }
}

void Heartbeat::set_loaded(std::uint64_t loaded_bytes, std::uint64_t total_bytes) {
  own_loaded_bytes_ = loaded_bytes;
  own_total_bytes_ = total_bytes;
}

Status Heartbeat::take_from(Peer& peer, std::int64_t now) {
  for (;;) {
    COLONNADE_ASSIGN(const bool came, comm_.try_receive(peer.rank, Channel::kHeartbeat, bytes_));
    if (!came) return {};
    if (bytes_.size() < kBeatBytes)
      return Error{ErrorCode::kCorrupt, text("rank ", peer.rank, " sent a heartbeat of ", bytes_.size(), " bytes")};
    if (bytes_.size() > kBeatBytes)
      return Error{ErrorCode::kUnavailable,
                   std::string(reinterpret_cast<const char*>(bytes_.data()) + kBeatBytes, bytes_.size() - kBeatBytes)};
    std::memcpy(&peer.loaded_bytes, bytes_.data(), 8);
    std::memcpy(&peer.total_bytes, bytes_.data() + 8, 8);
    peer.heard_us = now;
  }
}

Status Heartbeat::beat(double timeout_s) {
  const std::int64_t now = now_us();
  if (now >= next_send_us_) {
    std::array<std::byte, kBeatBytes> message;
    std::memcpy(message.data(), &own_loaded_bytes_, 8);
    std::memcpy(message.data() + 8, &own_total_bytes_, 8);
    for (const Peer& peer : peers_) COLONNADE_TRY(comm_.send(peer.rank, Channel::kHeartbeat, message));
    next_send_us_ = now + (own_loaded_bytes_ < own_total_bytes_ ? kLoadingIntervalUs : kIntervalUs);
  }
  if (peers_.empty()) {
    // One rank alone has nobody to hear of, but its job can be ended too.
    COLONNADE_TRY(comm_.try_receive(comm_.rank(), Channel::kHeartbeat, bytes_));
  }
  const double limit_s = timeout_s > 0 ? timeout_s : timeout_s_;
  for (Peer& peer : peers_) {
    COLONNADE_TRY(take_from(peer, now));
    const double silent_s = static_cast<double>(now - peer.heard_us) * 1e-6;
    if (silent_s > limit_s)
      return Error{ErrorCode::kUnavailable, text("rank ", peer.rank, " has been silent for ", silent_s,
                                                 " s, at most ", limit_s, " s are expected: its host may be gone")};
  }
  return {};
}

void Heartbeat::all_alive() {
  const std::int64_t now = now_us();
  for (Peer& peer : peers_) peer.heard_us = now;
}

std::int64_t Heartbeat::next_us() const {
  return peers_.empty() ? kIntervalUs : std::clamp<std::int64_t>(next_send_us_ - now_us(), 0, kIntervalUs);
}

std::uint64_t Heartbeat::loaded_bytes() const {
  std::uint64_t sum = own_loaded_bytes_;
  for (const Peer& peer : peers_) sum += peer.loaded_bytes;
  return sum;
}

std::uint64_t Heartbeat::total_bytes() const {
  std::uint64_t sum = own_total_bytes_;
  for (const Peer& peer : peers_) sum += peer.total_bytes;
  return sum;
}

void Heartbeat::say_failed(const std::string& reason) {
  std::vector<std::byte> message(kBeatBytes);
  const auto text_bytes = std::as_bytes(std::span(reason));
  message.insert(message.end(), text_bytes.begin(), text_bytes.end());
  for (const Peer& peer : peers_) (void)comm_.send(peer.rank, Channel::kHeartbeat, message);
}

}  // namespace colonnade::worker
