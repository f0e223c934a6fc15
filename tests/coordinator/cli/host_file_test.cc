#include "coordinator/cli/host_file.h"

#include <fstream>

#include <catch2/catch.hpp>

#include "coordinator/cli/launch_setup.h"
#include "tests/support/shared_data.h"

using colonnade::cli::is_this_host;
using colonnade::cli::LaunchOptions;
using colonnade::cli::planned_ranks;
using colonnade::cli::read_host_file;

namespace {

auto read(const std::string& content) {
  const auto path = colonnade::tests::scratch_folder() / "hosts";
  std::ofstream(path) << content;
  return read_host_file(path);
}

}  // namespace

TEST_CASE("host files in the forms that mpirun takes") {
  const auto hosts = read("# machines\nnode1 slots=4 max_slots=8\n\n  node2:2\nnode3 # spare\n");
  REQUIRE(hosts.ok());
  REQUIRE(hosts->size() == 3);
  CHECK((*hosts)[0].name == "node1");
  CHECK((*hosts)[0].slots == 4);
  CHECK((*hosts)[1].name == "node2");
  CHECK((*hosts)[1].slots == 2);
  CHECK((*hosts)[2].name == "node3");
  CHECK((*hosts)[2].slots == 0);
}

TEST_CASE("host files that are wrong are named with the line") {
  CHECK_THAT(read("node1\nnode2 slots=many\n").error().message,
             Catch::EndsWith(", line 2: expected 1 to 65536 slots, found \"slots=many\""));
  CHECK_THAT(read("node1:0\n").error().message, Catch::Contains("line 1"));
  CHECK_THAT(read("node1 slots=1000000000\n").error().message, Catch::Contains("found \"slots=1000000000\""));
  CHECK_THAT(read("node1 slots=65536\nnode2\n").error().message, Catch::Contains("line 2: expected at most 65536 slots on all hosts, found 65537"));
  CHECK_THAT(read("# nobody\n").error().message, Catch::Contains("expected at least one host, found none"));
  CHECK_THAT(read_host_file("/nowhere/hosts").error().message, Catch::Contains("/nowhere/hosts"));
}

TEST_CASE("this host knows itself") {
  CHECK(is_this_host("localhost"));
  CHECK_FALSE(is_this_host("some-other-machine"));
}

TEST_CASE("how many ranks a job will have is known before its model is") {
  const auto path = colonnade::tests::scratch_folder() / "hosts";
  std::ofstream(path) << "node1 slots=4\nnode2 slots=2\nnode3\n";
  LaunchOptions options;
  options.model = "/nowhere/model";
  options.hosts_file = path.string();
  CHECK(*planned_ranks(options) == 7);
  options.n_ranks = 5;
  CHECK(*planned_ranks(options) == 5);
  options.hosts_file.clear();
  CHECK(*planned_ranks(options) == 5);
  options.n_ranks = 0;
  options.n_stages = 64;  // a rank each, whatever the machine
  CHECK(*planned_ranks(options) == 64);
  options.hosts_file = "/nowhere/hosts";
  CHECK_THAT(planned_ranks(options).error().message, Catch::Contains("/nowhere/hosts"));
}
