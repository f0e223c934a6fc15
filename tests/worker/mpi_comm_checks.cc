// Every check of the communicator, as an MPI job: mpirun -n N mpi_comm_checks [--hosts H]. Exit status 0 when all
// ranks found nothing wrong.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/support/comm_checks.h"
#include "worker/comm_mpi.h"

using namespace colonnade;

int main(int argc, char** argv) {
  worker::MpiOptions options;
  options.join_timeout_us = 60'000'000;
  if (argc == 3 && std::strcmp(argv[1], "--hosts") == 0) options.pretended_hosts = std::atoi(argv[2]);
  auto session = worker::MpiSession::start();
  if (!session.ok()) {
    std::fprintf(stderr, "%s\n", session.error().message.c_str());
    return 1;
  }
  const auto comm = (*session)->connect(options);
  if (!comm.ok()) {
    std::fprintf(stderr, "%s\n", comm.error().message.c_str());
    (*session)->abort(1);
  }
  std::vector<std::string> failures = tests::communicator_failures(**comm, 20);
  const std::size_t hosts = options.pretended_hosts > 0 ? static_cast<std::size_t>(options.pretended_hosts) : 1;
  const auto rank = static_cast<std::size_t>((*comm)->rank());
  const auto size = static_cast<std::size_t>((*comm)->size());
  const std::size_t mates = size / hosts + (rank % hosts < size % hosts ? 1 : 0);
  if ((*comm)->host_mates().size() != mates) failures.push_back("a wrong number of host mates");
  for (const std::string& line : failures) std::fprintf(stderr, "rank %d: %s\n", (*comm)->rank(), line.c_str());
  if (!failures.empty()) (*session)->abort(1);
  if ((*comm)->rank() == 0) std::printf("%d ranks, %s: good\n", (*comm)->size(), (*comm)->transport().c_str());
  return (*session)->finish().ok() ? 0 : 1;
}
