#include "shard/prune/rank_group.h"

#include <algorithm>
#include <cstring>

#include "engine/base/format_text.h"

namespace colonnade::shard {
namespace {

/// Large enough that acknowledging costs nothing, small enough that copies of it for all receivers do not count.
constexpr std::size_t kPieceBytes = std::size_t{4} << 20;
/// Pieces that are under way to each receiver: one is copied while another is read.
constexpr std::size_t kPiecesUnderWay = 2;

}  // namespace

RankGroup::RankGroup(Communicator& comm) : comm_(comm) {
  for (int rank = 0; rank < comm.size(); ++rank) all_.push_back(rank);
}

Status RankGroup::send_pieces(std::span<const int> to, std::span<const std::byte> bytes) {
  const std::size_t n_pieces = (bytes.size() + kPieceBytes - 1) / kPieceBytes;
  for (std::size_t piece = 0; piece < n_pieces + kPiecesUnderWay; ++piece) {
    for (const int receiver : to) {
      if (receiver == rank()) continue;
      if (piece >= kPiecesUnderWay && piece - kPiecesUnderWay < n_pieces)
        COLONNADE_TRY(comm_.receive(receiver, Channel::kResults, buffer_));
      if (piece >= n_pieces) continue;
      const std::size_t at = piece * kPieceBytes;
      COLONNADE_TRY(comm_.send(receiver, Channel::kActivations, bytes.subspan(at, std::min(kPieceBytes, bytes.size() - at))));
    }
  }
  return {};
}

Status RankGroup::receive_pieces(int from, std::span<std::byte> bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += kPieceBytes) {
    const std::size_t expected = std::min(kPieceBytes, bytes.size() - at);
    COLONNADE_TRY(comm_.receive(from, Channel::kActivations, buffer_));
    if (buffer_.size() != expected)
      return Error{ErrorCode::kCorrupt, text("rank ", from, ": expected ", expected, " bytes, found ", buffer_.size(), ": different builds or models?")};
    std::memcpy(bytes.data() + at, buffer_.data(), expected);
    const std::byte seen{1};
    COLONNADE_TRY(comm_.send(from, Channel::kResults, std::span(&seen, 1)));
  }
  return {};
}

Status RankGroup::pass(int from, std::span<const int> to, std::span<std::byte> bytes) {
  if (rank() == from) return send_pieces(to, bytes);
  if (std::find(to.begin(), to.end(), rank()) == to.end()) return {};
  return receive_pieces(from, bytes);
}

Status RankGroup::share(int from, std::string& text) {
  std::uint64_t size = text.size();
  COLONNADE_TRY(pass_value(from, all_, size));
  text.resize(size);
  return pass_values(from, all_, std::span(text));
}

Status RankGroup::agree(const Status& mine) {
  if (size() == 1) return mine;
  // The code of the error, or -1, and its message.
  int code = mine.ok() ? -1 : static_cast<int>(mine.error().code);
  std::string message = mine.ok() ? "" : mine.error().message;
  for (int other = 1; other < size(); ++other) {
    const int to[] = {0};
    int other_code = code;
    std::string other_message = message;
    COLONNADE_TRY(pass_value(other, to, other_code));
    std::uint64_t length = other_message.size();
    COLONNADE_TRY(pass_value(other, to, length));
    other_message.resize(length);
    COLONNADE_TRY(pass_values(other, to, std::span(other_message)));
    if (!leads() || code >= 0 || other_code < 0) continue;
    code = other_code;
    message = text("rank ", other, ": ", other_message);
  }
  COLONNADE_TRY(pass_value(0, all_, code));
  COLONNADE_TRY(share(0, message));
  if (code < 0) return {};
  agreed_to_fail_ = true;
  return Error{static_cast<ErrorCode>(code), message};
}

}  // namespace colonnade::shard
