#include "coordinator/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/base/format_text.h"

extern char** environ;

namespace colonnade::coordinator {
namespace {

/// Everything that the child needs between fork and exec, where nothing may be allocated.
struct Prepared {
  std::vector<std::string> environment;
  std::vector<char*> argv;
  std::vector<char*> envp;

  explicit Prepared(const ChildCommand& command) {
    for (const std::string& argument : command.arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string_view line = *entry;
      bool replaced = false;
      for (const auto& [name, value] : command.environment)
        replaced = replaced || (line.size() > name.size() && line.substr(0, name.size()) == name && line[name.size()] == '=');
      if (!replaced) environment.emplace_back(line);
    }
    for (const auto& [name, value] : command.environment) environment.push_back(name + "=" + value);
    for (std::string& line : environment) envp.push_back(line.data());
    envp.push_back(nullptr);
  }
};

[[noreturn]] void become(const Prepared& prepared, int output, int report, int death_signal, pid_t parent) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, death_signal);
  if (::getppid() != parent) ::_exit(127);  // it ended before prctl
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGXFSZ}) ::signal(number, SIG_DFL);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, 0);
  ::dup2(output, 1);
  ::dup2(output, 2);
  // Sockets of the server must not live on in the job.
  ::dup2(report, 3);
  ::fcntl(3, F_SETFD, FD_CLOEXEC);
  ::syscall(SYS_close_range, 4u, ~0u, 0u);
  ::execve(prepared.argv[0], prepared.argv.data(), prepared.envp.data());
  const int why = errno;
  (void)!::write(3, &why, sizeof why);
  ::_exit(127);
}

/// Session id of a process from /proc/PID/stat; -1 when it is gone.
pid_t session_of(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t name_end = line.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return -1;
  std::istringstream fields(line.substr(name_end + 1));
  std::string state;
  pid_t parent = 0, group = 0, session = -1;
  fields >> state >> parent >> group >> session;
  return session;
}

void kill_session(pid_t session) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (session_of(name) == session) ::kill(static_cast<pid_t>(std::strtol(name.c_str(), nullptr, 10)), SIGKILL);
  }
}

}  // namespace

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return ::access(name.c_str(), X_OK) == 0 ? name : "";
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

Result<ChildProcess> ChildProcess::start(const ChildCommand& given) {
  ChildCommand command = given;
  COLONNADE_CHECK(!command.arguments.empty(), "a command without a program");
  const std::string program = find_program(command.arguments[0]);
  if (program.empty()) return Error{ErrorCode::kNotFound, text(command.arguments[0], ": no such program")};
  command.arguments[0] = program;
  const Prepared prepared(command);

  std::array<int, 2> output{-1, -1};
  std::array<int, 2> report{-1, -1};
  const auto close_all = [&] {
    for (const int descriptor : {output[0], output[1], report[0], report[1]})
      if (descriptor >= 0) ::close(descriptor);
  };
  if (::pipe2(output.data(), O_CLOEXEC) != 0 || ::pipe2(report.data(), O_CLOEXEC) != 0) {
    const int why = errno;
    close_all();
    return Error{ErrorCode::kIo, text("cannot start ", program, ": ", std::strerror(why))};
  }
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(prepared, output[1], report[1], command.death_signal, parent);
  const int fork_error = errno;
  ::close(output[1]);
  ::close(report[1]);
  output[1] = report[1] = -1;
  if (pid < 0) {
    close_all();
    return Error{ErrorCode::kIo, text("cannot start ", program, ": ", std::strerror(fork_error))};
  }
  int exec_error = 0;
  const bool failed = ::read(report[0], &exec_error, sizeof exec_error) == sizeof exec_error;
  ::close(report[0]);
  report[0] = -1;
  if (failed) {
    ::waitpid(pid, nullptr, 0);
    close_all();
    return Error{ErrorCode::kIo, text("cannot start ", program, ": ", std::strerror(exec_error))};
  }
  ::fcntl(output[0], F_SETFL, O_NONBLOCK);
  const auto exit_descriptor = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  ChildProcess child(pid, exit_descriptor, output[0]);
  if (exit_descriptor < 0)
    return Error{ErrorCode::kUnsupported, text("cannot watch ", program, ": ", std::strerror(errno), "; needs Linux 5.9")};
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      exit_descriptor_(std::exchange(other.exit_descriptor_, -1)),
      output_descriptor_(std::exchange(other.output_descriptor_, -1)),
      reaped_(other.reaped_),
      how_(std::move(other.how_)) {}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  end_session();
  if (exit_descriptor_ >= 0) ::close(exit_descriptor_);
  ::close(output_descriptor_);
}

std::optional<std::string> ChildProcess::ended() {
  if (reaped_) return how_;
  siginfo_t info{};
  // Not waited for yet: its number, which names the session, stays taken while others of the session may live.
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return std::nullopt;
  how_ = info.si_code == CLD_EXITED ? text("exited with status ", info.si_status)
                                    : text("was ended by signal ", info.si_status);
  return how_;
}

void ChildProcess::send_signal(int number) const {
  if (!reaped_) ::kill(pid_, number);
}

void ChildProcess::end_session() {
  if (reaped_) return;
  ::kill(pid_, SIGKILL);
  kill_session(pid_);
  (void)ended();
  ::waitpid(pid_, nullptr, 0);
  if (how_.empty()) how_ = "was ended by signal 9";
  reaped_ = true;
}

}  // namespace colonnade::coordinator
