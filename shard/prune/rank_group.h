// How the ranks that prune one model together talk. Every rank makes the same calls in the same order, so that a call on one
// is answered on the others; one thread a rank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/base/comm.h"

namespace colonnade::shard {

class RankGroup {
 public:
  /// `comm` must outlive the group.
  explicit RankGroup(Communicator& comm);

  int rank() const { return comm_.rank(); }
  int size() const { return comm_.size(); }
  bool leads() const { return rank() == 0; }
  const std::vector<int>& all() const { return all_; }

  /// Bytes of `from` come to each of `to` (`from` itself may be among them and is left out). Others return at once. `bytes` is what is
  /// sent, or room for as many as that. Goes in pieces that are acknowledged: what is under way is a few MiB, whatever the size.
  Status pass(int from, std::span<const int> to, std::span<std::byte> bytes);

  template <typename T>
  Status pass_values(int from, std::span<const int> to, std::span<T> values) {
    return pass(from, to, std::as_writable_bytes(values));
  }
  template <typename T>
  Status pass_value(int from, std::span<const int> to, T& value) {
    return pass_values(from, to, std::span(&value, 1));
  }

  /// The text of `from` comes to all.
  Status share(int from, std::string& text);

  /// All go on, or all fail with the error of the lowest rank that has one.
  Status agree(const Status& mine);

  /// The last agree() failed: rank 0 knows the error as well as this one.
  bool agreed_to_fail() const { return agreed_to_fail_; }

 private:
  Status send_pieces(std::span<const int> to, std::span<const std::byte> bytes);
  Status receive_pieces(int from, std::span<std::byte> bytes);

  Communicator& comm_;
  std::vector<int> all_;
  std::vector<std::byte> buffer_;
  bool agreed_to_fail_ = false;
};

}  // namespace colonnade::shard
