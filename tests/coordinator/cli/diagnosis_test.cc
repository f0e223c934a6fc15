#include "coordinator/cli/diagnosis.h"

#include <catch2/catch.hpp>
#include <thread>

#include "coordinator/cli/facts_exchange.h"
#include "coordinator/cli/network_facts.h"
#include "engine/base/thread_comm.h"

namespace colonnade::cli {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

HostFacts healthy(const std::string& name) {
  HostFacts host;
  host.host = name;
  host.version = "1.2.3";
  host.program_checksum = "00aa";
  host.system = "6.1.0";
  host.cpu = "EPYC";
  host.kernels = "avx512";
  host.cores = 64;
  host.numa_nodes = 2;
  host.memory_bytes = 512 * kGiB;
  host.free_bytes = 500 * kGiB;
  host.transparent_pages = "madvise";
  host.shm_bytes = host.shm_free_bytes = 256 * kGiB;
  host.memlock_bytes = 8 << 20;
  host.open_files = 4096;
  host.mpi = "mpirun (Open MPI) 4.1.4";
  host.mpi_selection = "btl ^uct,openib,ofi, mtl ^ofi, pml ^ucx";
  host.interfaces = {{"eth0", {"10.0.0.0/24", "fd00::/64"}, 25000}};
  host.model = {"/models/m", "", "packed", "1234", 100 * kGiB};
  host.transport = "MPI (tcp)";
  return host;
}

/// What one change to the second of two healthy hosts leads to.
template <typename Change>
std::vector<Finding> after(Change change) {
  std::vector<HostFacts> hosts = {healthy("alpha"), healthy("beta")};
  change(hosts[1]);
  return diagnose(hosts);
}

void check_finding(const std::vector<Finding>& found, Severity severity, const std::string& host, const std::string& words) {
  REQUIRE(found.size() == 1);
  CHECK(found[0].severity == severity);
  CHECK(found[0].host == host);
  INFO(found[0].message);
  CHECK(found[0].message.find(words) != std::string::npos);
}

TEST_CASE("healthy hosts have no findings") {
  CHECK(after([](HostFacts&) {}).empty());
  CHECK(findings_text({}) == "ready\n");
}

TEST_CASE("every fault is found, on the host that has it") {
  const auto failure = Severity::kFailure;
  const auto warning = Severity::kWarning;
  check_finding(after([](HostFacts& h) { h.version = "1.2.4"; }), failure, "beta", "1.2.4, alpha has 1.2.3");
  check_finding(after([](HostFacts& h) { h.program_checksum = "bb"; }), warning, "beta", "another build");
  check_finding(after([](HostFacts& h) { h.mpi = ""; }), failure, "beta", "Open MPI");
  check_finding(after([](HostFacts& h) { h.kernels = "avx2"; }), warning, "beta", "avx2, alpha has avx512");
  check_finding(after([](HostFacts& h) { h.clock_offset_s = -3; }), warning, "beta", "behind alpha");
  check_finding(after([](HostFacts& h) { h.model.checksum = "99"; }), failure, "beta", "checksum 99, on alpha it is 1234");
  check_finding(after([](HostFacts& h) { h.model.error = "/models/m: not there"; }), failure, "beta", "not there");
  check_finding(after([](HostFacts& h) { h.transparent_pages = "never"; }), warning, "beta", "huge pages");
  check_finding(after([](HostFacts& h) { h.shm_free_bytes = 1 << 20; }), failure, "beta", "/dev/shm has 1.0 MiB");
  check_finding(after([](HostFacts& h) { h.shm_free_bytes = 20 << 20; }), warning, "beta", "/dev/shm has 20.0 MiB");
  check_finding(after([](HostFacts& h) { h.open_files = 256; }), warning, "beta", "256");
  check_finding(after([](HostFacts& h) { h.fast_networks = {"mlx5_0"}; }), warning, "beta", "mlx5_0 is not used");
  check_finding(after([](HostFacts& h) { h.fast_networks = {"mlx5_0"}, h.mpi_selection = ""; }), warning, "beta", "ulimit -l is 8.0 MiB");
  check_finding(after([](HostFacts& h) { h.interfaces = {{"eth0", {"10.0.1.0/24"}, 0}}; }), warning, "", "no network in common");
  check_finding(after([](HostFacts& h) { h.model.bytes = 1100 * kGiB; }), failure, "", "1.1 TiB");
  check_finding(after([](HostFacts& h) { h.free_bytes = 0, h.model.bytes = 501 * kGiB; }), warning, "", "free are");
}

TEST_CASE("one host needs neither a network nor a model") {
  HostFacts host = healthy("alpha");
  host.interfaces.clear();
  host.model = {};
  CHECK(diagnose(std::vector{host}).empty());
  CHECK(diagnose({}).empty());
}

TEST_CASE("failures come first and decide the verdict") {
  std::vector<HostFacts> hosts = {healthy("alpha"), healthy("beta")};
  hosts[0].open_files = 10;
  hosts[1].version = "9";
  const auto found = diagnose(hosts);
  REQUIRE(found.size() == 2);
  CHECK(found[0].severity == Severity::kFailure);
  const std::string text = findings_text(found);
  CHECK(text.find("failure  beta: ") == 0);
  CHECK(text.find("1 failure, 1 warning\n") != std::string::npos);
}

TEST_CASE("the table shows common facts once and marks differences") {
  std::vector<HostFacts> hosts = {healthy("alpha"), healthy("beta"), healthy("gamma")};
  hosts[1].cores = 32;
  hosts[2].free_bytes = kGiB;
  const std::string table = facts_table(hosts);
  CHECK(table.find("alpha, beta, gamma") != std::string::npos);
  CHECK(table.find("≠ 64 on 2 NUMA nodes") != std::string::npos);
  CHECK(table.find("alpha, gamma") != std::string::npos);
  CHECK(table.find("≠ 1.0 GiB") == std::string::npos);  // free memory always differs
  CHECK(table.find("avx512", table.find("avx512") + 1) == std::string::npos);
}

TEST_CASE("facts survive the way through JSON") {
  const HostFacts host = healthy("zwölf");
  const auto back = host_facts_from_json(parse_json(to_json(host).dump(), "facts").value());
  REQUIRE(back.ok());
  CHECK(to_json(*back) == to_json(host));
  CHECK(back->interfaces[0].networks == host.interfaces[0].networks);
  Json damaged = parse_json(to_json(host).dump(), "facts").value();
  damaged.erase("cores");
  const auto missing = host_facts_from_json(damaged);
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().message.find("cores") != std::string::npos);
  damaged["cores"] = "many";
  CHECK_FALSE(host_facts_from_json(damaged).ok());
  CHECK_FALSE(host_facts_from_json(Json::array()).ok());
}

TEST_CASE("facts of all ranks come together on rank 0") {
  ThreadJob job(3);
  std::vector<HostFacts> all;
  std::vector<std::thread> ranks;
  std::atomic<int> failed{0};
  for (int rank = 0; rank < 3; ++rank) {
    ranks.emplace_back([&, rank] {
      auto found = exchange_facts(job.comm(rank), healthy("host" + std::to_string(rank)), 10'000'000);
      failed += !found.ok();
      if (rank == 0 && found.ok()) all = *found;
    });
  }
  for (auto& rank : ranks) rank.join();
  REQUIRE(failed == 0);
  REQUIRE(all.size() == 3);
  CHECK(all[2].host == "host2");
  CHECK(all[2].round_trip_us > 0);
  CHECK(std::abs(all[2].clock_offset_s) < 0.1);  // it is the same clock
  CHECK(all[1].transport == job.comm(1).transport());
}

TEST_CASE("a rank that never answers is named") {
  ThreadJob job(2);
  const auto found = exchange_facts(job.comm(0), healthy("alpha"), 20'000);
  REQUIRE_FALSE(found.ok());
  CHECK(found.error().code == ErrorCode::kTimeout);
  CHECK(found.error().message.find("rank 1 did not answer within 20.0 ms") != std::string::npos);
}

TEST_CASE("the selection of MPI components is read from its configuration") {
  CHECK(mpi_selection_of("# pml = x\nbtl = ^uct,openib # why\n pml = ^ucx\nosc = ^ucx\nbtl_base_verbose = 1\nmtl=^ofi\n") ==
        "btl ^uct,openib, mtl ^ofi, pml ^ucx");
  CHECK(mpi_selection_of("").empty());
}

}  // namespace
}  // namespace colonnade::cli
