// A join whose members are on several hosts: each host adds up in shared memory, the hosts' leaders exchange the sums
// and add them in host order, and shared memory hands the result to all.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/comm.h"
#include "engine/base/shared_join.h"

namespace colonnade::worker::mpi {

struct HostsLayout {
  MPI_Comm comm = MPI_COMM_NULL;
  std::vector<int> ranks;               // the members' ranks in it
  int own_place = 0;                    // among the members
  std::size_t own_host = 0;
  std::vector<std::vector<int>> hosts;  // places of each host's members, ascending; the first is its leader
};

class HostsJoin final : public Join {
 public:
  /// Shared memory that it needs beside the inner join's.
  static std::size_t shared_bytes(std::size_t n_members);

  HostsJoin(std::unique_ptr<SharedJoin> inner, HostsLayout layout, std::byte* shared, std::size_t max_floats,
            const JoinOptions& options, Traffic& traffic);

  int size() const override { return static_cast<int>(n_members_); }
  int index() const override { return layout_.own_place; }
  float* contribution() override { return inner_->contribution(); }
  Status reduce(float* x, std::size_t count, Parallel& team) override;
  Status all_gather(const void* mine, std::size_t bytes_each, void* out) override;

 private:
  bool leads() const { return inner_->index() == 0; }
  int leader(std::size_t host) const { return layout_.ranks[static_cast<std::size_t>(layout_.hosts[host][0])]; }
  Status exchange_all(const float* x, std::size_t count);
  Status exchange_parts(const float* x, std::size_t count);
  void add_sums(const float* x, std::size_t begin, std::size_t end, std::size_t stride);
  Status finish_requests();
  MPI_Request& new_request();

  std::unique_ptr<SharedJoin> inner_;
  HostsLayout layout_;
  std::size_t n_members_;
  std::byte* gathered_;                 // (n_members, kRoundBytes), shared by this host's members
  JoinOptions options_;
  Traffic& traffic_;
  std::vector<float> received_;         // leader: sums of the other hosts, (n_hosts, stride)
  std::vector<MPI_Request> requests_;
  std::size_t n_requests_ = 0;
  std::vector<std::byte> host_block_;   // what this host's members give to a round of all_gather
  std::vector<std::byte> other_block_;  // the same of the other hosts
};

}  // namespace colonnade::worker::mpi
