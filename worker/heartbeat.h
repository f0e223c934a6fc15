// Signs of life between rank 0 and the others, with how much each has loaded: MPI alone does not notice for minutes
// that a host is gone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/comm.h"

namespace colonnade::worker {

/// Step thread only. Allocates nothing after the first messages.
class Heartbeat {
 public:
  explicit Heartbeat(Communicator& comm, double timeout_s);

  void set_loaded(std::uint64_t loaded_bytes, std::uint64_t total_bytes);

  /// Sends when a second has passed, takes what has come. kUnavailable when a peer says that it failed or has been
  /// silent for longer than `timeout_s` (0: as constructed).
  Status beat(double timeout_s = 0);

  /// All peers are known to live: they have just taken part in something.
  void all_alive();

  /// How long a wait() may last until the next beat is due.
  std::int64_t next_us() const;

  /// Sums over all ranks, on rank 0.
  std::uint64_t loaded_bytes() const;
  std::uint64_t total_bytes() const;

  /// Tells rank 0 (or, from rank 0, everybody) why this rank gives up.
  void say_failed(const std::string& reason);

 private:
  struct Peer {
    int rank;
    std::int64_t heard_us;
    std::uint64_t loaded_bytes = 0;
    std::uint64_t total_bytes = 0;
  };
  Status take_from(Peer& peer, std::int64_t now);

  Communicator& comm_;
  double timeout_s_;
  std::vector<Peer> peers_;  // rank 0: all others; others: rank 0
  std::uint64_t own_loaded_bytes_ = 0;
  std::uint64_t own_total_bytes_ = 0;
  std::int64_t next_send_us_ = 0;
  std::vector<std::byte> bytes_;
};

}  // namespace colonnade::worker
