#include "coordinator/cli/doctor_job.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/units.h"

namespace colonnade::cli {
namespace {

Result<std::string> own_program() {
  std::error_code failure;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (failure) return Error{ErrorCode::kIo, text("/proc/self/exe: ", failure.message())};
  return path.string();
}

std::vector<std::string> command_line(const DoctorJob& job, const std::string& program) {
  // One rank a host, wherever it likes; ranks answer with facts, this process judges.
  std::vector<std::string> words = {"mpirun",    "--hostfile", job.hosts_file, "--map-by", "ppr:1:node",
                                    "--bind-to", "none",       program,        "doctor",   "--report",
                                    "--timeout", text(job.timeout_s)};
  if (!job.model.empty()) words.push_back(job.model);
  return words;
}

/// A child process in a session of its own, its output on a pipe. Killed with all its children if still there.
class Child {
 public:
  static Result<Child> start(const std::vector<std::string>& words) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Error{ErrorCode::kIo, text("pipe: ", std::strerror(errno))};
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const pid_t pid = fork();
    if (pid == 0) {
      setsid();
      const int nothing = open("/dev/null", O_RDONLY);
      dup2(nothing, STDIN_FILENO);
      dup2(ends[1], STDOUT_FILENO);
      execvp(arguments[0], arguments.data());
      _exit(127);
    }
    close(ends[1]);
    if (pid < 0) {
      close(ends[0]);
      return Error{ErrorCode::kExhausted, text("cannot start ", words[0], ": ", std::strerror(errno))};
    }
    return Child(pid, ends[0]);
  }
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), output_(std::exchange(other.output_, -1)) {}
  ~Child() {
    if (output_ >= 0) close(output_);
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  /// All it prints until it closes its output; false at the deadline.
  bool read_all(double deadline, std::string& out) {
    char buffer[4096];
    for (;;) {
      const double left = deadline - now_seconds();
      pollfd ready{output_, POLLIN, 0};
      if (left <= 0 || poll(&ready, 1, static_cast<int>(left * 1000) + 1) == 0) return false;
      const ssize_t n = read(output_, buffer, sizeof buffer);
      if (n == 0) return true;
      if (n > 0) out.append(buffer, static_cast<std::size_t>(n));
      else if (errno != EINTR) return true;
    }
  }

  /// Its exit status, 128 + the signal that ended it.
  int wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  Child(pid_t pid, int output) : pid_(pid), output_(output) {}
  pid_t pid_;
  int output_;
};

Result<std::vector<HostFacts>> parse_report(const std::string& output) {
  // Debuggers of the network print to stdout too: the report is the last line.
  const std::size_t end = output.find_last_not_of('\n');
  const std::size_t start = end == std::string::npos ? end : output.rfind('\n', end);
  const std::string line = end == std::string::npos ? "" : output.substr(start == std::string::npos ? 0 : start + 1);
  COLONNADE_ASSIGN(const Json report, parse_json(line, "report of the doctor job"));
  std::vector<HostFacts> hosts;
  if (!report.is_array() || report.empty()) {
    return Error{ErrorCode::kCorrupt, "report of the doctor job: expected the facts of one or more hosts"};
  }
  for (const Json& entry : report) {
    COLONNADE_ASSIGN(HostFacts facts, host_facts_from_json(entry));
    hosts.push_back(std::move(facts));
  }
  return hosts;
}

}  // namespace

Result<std::vector<HostFacts>> run_doctor_job(const DoctorJob& job) {
  if (std::ifstream(job.hosts_file).fail()) {
    return Error{ErrorCode::kNotFound, text("--hosts ", job.hosts_file, ": cannot be read: ", std::strerror(errno))};
  }
  COLONNADE_ASSIGN(const std::string program, own_program());
  if (geteuid() == 0) {  // otherwise mpirun refuses
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  }
  const double deadline = now_seconds() + job.timeout_s;
  COLONNADE_ASSIGN(Child child, Child::start(command_line(job, program)));
  std::string output;
  if (!child.read_all(deadline, output)) {
    return Error{ErrorCode::kTimeout,
                 text("the job on the hosts of ", job.hosts_file, " did not end within ", format_seconds(job.timeout_s),
                      ": is every host up, with ssh without a password from here?")};
  }
  const int status = child.wait();
  if (status == 127) return Error{ErrorCode::kNotFound, "mpirun: not found in PATH (Debian: apt-get install openmpi-bin)"};
  if (status != 0) {
    return Error{ErrorCode::kUnavailable, text("the job on the hosts of ", job.hosts_file, " ended with status ", status,
                                               ": it needs ", program, " on each of them, see above for mpirun's own words")};
  }
  return parse_report(output);
}

}  // namespace colonnade::cli
