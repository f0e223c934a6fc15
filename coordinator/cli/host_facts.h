// What `doctor` wants to know of one host, gathered there, carried as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/result.h"

namespace colonnade::cli {

struct InterfaceFacts {
  std::string name;
  std::vector<std::string> networks;  // "10.0.0.0/24"; IPv4, and IPv6 that is not link-local
  std::int64_t megabits = 0;          // 0: not told
};

struct ModelFacts {
  std::string path;      // as asked for; "" when none was
  std::string error;     // why it cannot be served from here; "" when it can
  std::string kind;      // "packed", "Hugging Face directory"
  std::string checksum;  // of the manifest, or of config.json and the names and sizes of the weight files
  std::uint64_t bytes = 0;  // of the weights on disk
};

struct HostFacts {
  std::string host;
  std::string version;          // of the program
  std::string program_checksum;
  std::string system;           // kernel release
  std::string cpu;              // model name
  std::string kernels;          // the kernel table that would be used
  int cores = 0;                // granted
  int numa_nodes = 0;
  std::vector<std::string> limits;  // that took CPUs or memory away
  std::uint64_t memory_bytes = 0;   // granted
  std::uint64_t free_bytes = 0;
  std::uint64_t reserved_pages = 0;     // free 2 MiB pages
  std::string transparent_pages;        // "madvise"
  std::uint64_t shm_bytes = 0;          // /dev/shm
  std::uint64_t shm_free_bytes = 0;
  std::uint64_t memlock_bytes = 0;      // ulimit -l; 0 means none allowed, UINT64_MAX unlimited
  std::uint64_t open_files = 0;         // ulimit -n
  std::string mpi;                      // "mpirun (Open MPI) 4.1.4"; "" when there is none
  std::string mpi_selection;            // what configuration chooses or switches off: "pml ^ucx, btl ^uct,openib,ofi"
  std::vector<InterfaceFacts> interfaces;  // up, not loopback
  std::vector<std::string> fast_networks;  // InfiniBand and other RDMA devices
  ModelFacts model;

  // Filled in by whoever asked the host.
  std::string transport;         // of the MPI job that reached it; "" for this process alone
  double clock_offset_s = 0;     // its clock minus the first host's
  double round_trip_us = 0;      // of a small message between it and the first host
};

/// Facts of this host. What cannot be found out stays empty; only an unreadable topology is an error.
Result<HostFacts> gather_host_facts(const std::string& model);

OrderedJson to_json(const HostFacts& facts);
/// kCorrupt when a field is missing or of another kind: another version of the program wrote it.
Result<HostFacts> host_facts_from_json(const Json& json);

}  // namespace colonnade::cli
