#include "coordinator/cli/doctor_job.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string_view>

#include "coordinator/child_process.h"
#include "coordinator/cli/host_file.h"
#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"

namespace colonnade::cli {
namespace {

/// mpirun, told to end, ends its daemons on the other hosts first.
constexpr double kGrace_s = 3;

/// How the line begins that rank 0 prints with --report; everything else in the output is for people.
constexpr std::string_view kReportStart = R"([{"host":)";

coordinator::ChildCommand make_command(const DoctorJob& job, const std::string& program) {
  coordinator::ChildCommand command;
  // One rank a host, wherever it likes; ranks answer with facts, this process judges.
  command.arguments = {"mpirun", "--hostfile", job.hosts_file, "--map-by", "ppr:1:node", "--bind-to", "none",
                       program,  "doctor",     "--report",     "--timeout", text(job.timeout_s)};
  if (!job.model.empty()) command.arguments.push_back(job.model);
  command.death_signal = SIGTERM;
  if (geteuid() == 0) {  // otherwise mpirun refuses
    command.environment = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}};
  }
  return command;
}

/// Appends what the child prints until it closes its output; false when that is not before the deadline.
bool read_output(const coordinator::ChildProcess& child, double deadline, std::string& out) {
  char buffer[4096];
  for (;;) {
    const double left_s = deadline - now_seconds();
    pollfd ready{child.output_descriptor(), POLLIN, 0};
    if (left_s <= 0 || poll(&ready, 1, static_cast<int>(left_s * 1000) + 1) == 0) return false;
    const ssize_t n = read(child.output_descriptor(), buffer, sizeof buffer);
    if (n > 0) out.append(buffer, static_cast<std::size_t>(n));
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) return true;
  }
}

/// Takes the report out of the output.
std::string take_report(std::string& output) {
  std::size_t start = output.find(kReportStart);
  if (start != 0 && start != std::string::npos && output[start - 1] != '\n') start = std::string::npos;
  if (start == std::string::npos) return "";
  const std::size_t end = std::min(output.find('\n', start), output.size() - 1);
  std::string report = output.substr(start, end - start + 1);
  output.erase(start, end - start + 1);
  return report;
}

Result<std::vector<HostFacts>> parse_report(const std::string& line) {
  COLONNADE_ASSIGN(const Json report, parse_json(line, "report of the doctor job"));
  std::vector<HostFacts> hosts;
  for (const Json& entry : report) {
    COLONNADE_ASSIGN(HostFacts facts, host_facts_from_json(entry));
    hosts.push_back(std::move(facts));
  }
  return hosts;
}

}  // namespace

Result<std::vector<HostFacts>> run_doctor_job(const DoctorJob& job) {
  COLONNADE_ASSIGN(const std::vector<Host> hosts, read_host_file(job.hosts_file));
  if (coordinator::find_program("mpirun").empty()) {
    return Error{ErrorCode::kNotFound, "mpirun: not found in PATH (Debian: apt install openmpi-bin)"};
  }
  std::error_code failure;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", failure).string();
  if (failure) return Error{ErrorCode::kIo, text("/proc/self/exe: ", failure.message())};
  COLONNADE_ASSIGN(coordinator::ChildProcess child, coordinator::ChildProcess::start(make_command(job, program)));
  const std::string where = text("the job on the ", hosts.size(), hosts.size() == 1 ? " host of " : " hosts of ", job.hosts_file);
  std::string output;
  const bool in_time = read_output(child, now_seconds() + job.timeout_s, output);
  if (!in_time) {
    child.send_signal(SIGTERM);
    (void)read_output(child, now_seconds() + kGrace_s, output);
  }
  child.end_session();
  const std::string report = take_report(output);
  std::fwrite(output.data(), 1, output.size(), stderr);
  if (!report.empty()) return parse_report(report);
  if (!in_time) {
    return Error{ErrorCode::kTimeout, text(where, " did not end within ", format_seconds(job.timeout_s),
                                           ": is every host up, with ssh without a password from here?")};
  }
  return Error{ErrorCode::kUnavailable,
               text(where, " ended without a report: it needs ", program, " on each of them; mpirun's own words are above")};
}

}  // namespace colonnade::cli
