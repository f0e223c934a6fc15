// How fast the machines of a plan are: what a prediction of tokens a second needs to know of each rank and of what joins
// them. Values; pure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "shard/plan.h"

namespace colonnade::shard {

/// What a rank computes with.
struct RankRates {
  int host = 0;                     // ranks of one host share memory
  int n_cores = 1;                  // shared with other ranks where there are fewer cores than ranks
  double bytes_per_second = 0;      // that its cores together read from memory
  double core_bytes_per_second = 0; // that one of them reads at most
  double l3_bytes_per_second = 0;   // that its cores together read from L3
  double speed = 1;                 // of what it gets of a core, relative to those of the cost table
};

struct Cluster {
  std::vector<RankRates> ranks = {};
  double network_seconds = 0;           // a message between hosts, besides its bytes
  double network_bytes_per_second = 0;  // of a host's link
};

/// That a plan is made for.
inline constexpr int kMostRanks = 65536;

/// Machines that somebody describes instead of having them.
struct MachineDescription {
  int n_hosts = 1;
  int n_sockets = 1;                 // of a host
  int nodes_per_socket = 1;
  int n_cores = 0;                   // of a socket
  double socket_bytes_per_second = 0;
  std::uint64_t memory_bytes = 0;    // of a host
  std::uint64_t l3_bytes = 0;        // of a socket
  double speed = 1;                  // of a core, relative to those of the cost table
  double network_bytes_per_second = 0;
  double network_seconds = 0;

  int suggested_ranks() const { return n_hosts * n_sockets * nodes_per_socket; }  // at most kMostRanks
};

/// Whether `text` is a description and not an hwloc one: its first word is a key of ours before '='.
bool describes_machines(std::string_view text);

/// "hosts=4,sockets=2,cores=64,channels=12,rate=4800,memory=768G,network=200G". cores, memory and one of bandwidth (bytes a
/// second of a socket) or channels and rate (million transfers a second, of 8 bytes; three quarters of that are taken) are
/// required, with several hosts also network (bits a second). kInvalidArgument names the word.
Result<MachineDescription> parse_machines(std::string_view text);

/// Ranks 0 … n_ranks-1 in equal runs over the hosts, each with its share of the host: what a plan needs, and how fast it is.
std::vector<RankMachine> machines_of(const MachineDescription& description, int n_ranks);
Cluster cluster_of(const MachineDescription& description, int n_ranks);

/// Ranks of one host that compute on these CPUs (`cpus`: by rank) and together read `bytes_per_second`. Where ranks share cores they take turns.
Cluster local_cluster(const std::vector<std::vector<int>>& cpus, double bytes_per_second);

/// Ranks that read and compute so many times as fast; `factors`: one for each.
void scale_speeds(Cluster& cluster, std::span<const double> factors);

/// A core reads no more than this from memory, whatever the others do (a Zen 5 core: 28 GB/s alone).
inline constexpr double kCoreBytesPerSecond = 28e9;
/// … and from its share of L3 (61 to 80 GB/s there).
inline constexpr double kCoreL3BytesPerSecond = 60e9;

}  // namespace colonnade::shard
