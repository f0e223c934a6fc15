#include "tests/worker/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/support/shared_data.h"

extern char** environ;

namespace colonnade::tests {
namespace {

/// Name, parent and ticks of user and system time, from /proc/ID/stat.
struct ProcessState {
  std::string name;
  pid_t parent = 0;
  long ticks = 0;
  char state = 'X';
};

ProcessState read_state(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::stringstream content;
  content << file.rdbuf();
  const std::string line = content.str();
  const std::size_t open = line.find('(');
  const std::size_t close = line.rfind(')');
  ProcessState state;
  if (open == std::string::npos || close == std::string::npos) return state;
  state.name = line.substr(open + 1, close - open - 1);
  std::istringstream fields(line.substr(close + 2));
  std::string field;
  for (int i = 3; i <= 15 && fields >> field; ++i) {
    if (i == 3) state.state = field[0];
    if (i == 4) state.parent = std::stoi(field);
    if (i == 14 || i == 15) state.ticks += std::stol(field);
  }
  return state;
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command, const std::vector<std::string>& environment)
    : output_file_((scratch_folder() / "output").string()) {
  std::vector<std::string> words = command;
  std::vector<std::string> lines = environment;
  for (char** line = environ; *line != nullptr; ++line) lines.emplace_back(*line);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::vector<char*> variables;
  for (std::string& line : lines) variables.push_back(line.data());
  variables.push_back(nullptr);
  id_ = ::fork();
  if (id_ < 0) throw std::runtime_error("fork failed");
  if (id_ == 0) {
    const int out = ::open(output_file_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::execve(arguments[0], arguments.data(), variables.data());
    ::_exit(127);
  }
}

ChildProcess::~ChildProcess() {
  if (ended_) return;
  ::kill(id_, SIGTERM);  // mpirun then ends its ranks
  if (wait(5) >= 0) return;
  ::kill(id_, SIGKILL);
  (void)wait(5);
}

int ChildProcess::wait(double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!ended_) {
    int status = 0;
    if (::waitpid(id_, &status, WNOHANG) == id_) {
      ended_ = true;
      status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    } else if (std::chrono::steady_clock::now() > end) {
      return -1;
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  return status_;
}

void ChildProcess::signal(int number) const { ::kill(id_, number); }

std::string ChildProcess::output() const {
  std::ifstream file(output_file_);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

std::vector<pid_t> ChildProcess::descendants(const std::string& name) const {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string number = entry.path().filename().string();
    if (number.find_first_not_of("0123456789") != std::string::npos) continue;
    const pid_t process = std::stoi(number);
    const ProcessState state = read_state(process);
    if (state.name != name) continue;
    for (pid_t above = state.parent; above > 1; above = read_state(above).parent)
      if (above == id_) {
        found.push_back(process);
        break;
      }
  }
  return found;
}

bool is_running(pid_t process) {
  const char state = read_state(process).state;
  return state != 'X' && state != 'Z';
}

double cpu_seconds(pid_t process) {
  return static_cast<double>(read_state(process).ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace colonnade::tests
