// colonnade doctor: is every host ready, before anything loads?
#include <algorithm>
#include <cstdio>

#include "coordinator/cli/command.h"
#include "coordinator/cli/diagnosis.h"
#include "coordinator/cli/doctor_job.h"
#include "coordinator/cli/facts_exchange.h"
#include "engine/base/format_text.h"
#include "worker/comm_mpi.h"
#include "worker/mpi_job.h"

namespace colonnade::cli {
namespace {

/// This process is a rank of a job: facts of all hosts on rank 0, nothing on the others.
Result<std::vector<HostFacts>> facts_of_job(const Options& options, int rank) {
  COLONNADE_ASSIGN(HostFacts mine, gather_host_facts(options.positional("MODEL")));
  COLONNADE_ASSIGN(const auto session, worker::MpiSession::start());
  const auto exchange = [&]() -> Result<std::vector<HostFacts>> {
    COLONNADE_ASSIGN(Communicator* const comm, session->connect({}));
    // A third of the time for each of the ways to be slow: starting, gathering, measuring.
    COLONNADE_ASSIGN(auto all, exchange_facts(*comm, std::move(mine),
                                              static_cast<std::int64_t>(options.number("timeout") / 3 * 1e6)));
    COLONNADE_TRY(session->finish());
    return all;
  };
  auto hosts = exchange();
  if (!hosts.ok()) {
    fail(hosts.error());
    session->abort(1);
  }
  if (rank != 0) return std::vector<HostFacts>{};
  // Several ranks of one host say the same.
  std::vector<HostFacts> distinct;
  for (HostFacts& host : *hosts) {
    const auto known = [&](const HostFacts& other) { return other.host == host.host; };
    if (std::none_of(distinct.begin(), distinct.end(), known)) distinct.push_back(std::move(host));
  }
  return distinct;
}

Result<std::vector<HostFacts>> facts_of_all(const Options& options) {
  if (options.is_set("hosts")) {
    return run_doctor_job({options.text("hosts"), options.positional("MODEL"), options.number("timeout")});
  }
  COLONNADE_ASSIGN(HostFacts mine, gather_host_facts(options.positional("MODEL")));
  return std::vector<HostFacts>{std::move(mine)};
}

std::string json_text(const std::vector<HostFacts>& hosts, const std::vector<Finding>& findings, bool healthy) {
  OrderedJson out;
  out["ok"] = healthy;
  out["findings"] = OrderedJson::array();
  for (const Finding& finding : findings) {
    out["findings"].push_back({{"severity", finding.severity == Severity::kFailure ? "failure" : "warning"},
                               {"host", finding.host},
                               {"message", finding.message}});
  }
  out["hosts"] = OrderedJson::array();
  for (const HostFacts& host : hosts) out["hosts"].push_back(to_json(host));
  return out.dump(2) + "\n";
}

int run(const Options& options) {
  const auto launched = options.is_set("hosts") ? std::nullopt : worker::launched_rank();
  const auto hosts = launched ? facts_of_job(options, launched->rank) : facts_of_all(options);
  if (!hosts.ok()) return fail(hosts.error());
  if (hosts->empty()) return 0;  // rank 0 speaks for all
  std::string output;
  int status = 0;
  if (options.flag("report")) {
    OrderedJson report = OrderedJson::array();
    for (const HostFacts& host : *hosts) report.push_back(to_json(host));
    output = report.dump() + "\n";
  } else {
    const std::vector<Finding> findings = diagnose(*hosts);
    const bool healthy = std::none_of(findings.begin(), findings.end(),
                                      [](const Finding& finding) { return finding.severity == Severity::kFailure; });
    output = options.flag("json") ? json_text(*hosts, findings, healthy)
                                  : facts_table(*hosts) + "\n" + findings_text(findings);
    status = healthy ? 0 : 1;
  }
  std::fwrite(output.data(), 1, output.size(), stdout);
  return status;
}

}  // namespace

const Command& doctor_command() {
  static const Command command{
      {.name = "doctor",
       .summary = "Checks every host before anything loads.",
       .details = "Looks at the program's version and build, MPI and its transport, networks, memory and huge pages, kernels,\n"
                  "/dev/shm, limits and clocks, and with MODEL at whether every host can read the same model. Prints one table\n"
                  "in which differences between hosts are marked with ≠, then what is wrong. Exit status 1 on a failure.\n\n"
                  "  colonnade doctor MODEL --hosts hostfile\n"
                  "  mpirun --hostfile hostfile --map-by ppr:1:node colonnade doctor MODEL",
       .positionals = {{.name = "MODEL", .help = "also check this model", .required = false}},
       .options = {{.name = "hosts", .value_name = "FILE",
                    .help = "Check the hosts of this MPI host file; the program must be at the same path on each."},
                   {.name = "timeout", .kind = OptionKind::kNumber, .default_value = "60", .value_name = "SECONDS",
                    .help = "Give up on hosts that have not answered by then.", .min = 1, .max = 3600},
                   {.name = "json", .kind = OptionKind::kFlag, .default_value = "false", .help = "Print JSON."},
                   {.name = "report", .kind = OptionKind::kFlag, .default_value = "false",
                    .help = "Print the facts on one line and judge nothing.", .hidden = true}}},
      run};
  return command;
}

}  // namespace colonnade::cli
