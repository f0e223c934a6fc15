// A program that a test starts, watches and ends.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace colonnade::tests {

class ChildProcess {
 public:
  /// `environment`: "NAME=value" lines added to this process's; output goes to a file that output() reads.
  ChildProcess(const std::vector<std::string>& command, const std::vector<std::string>& environment);
  ~ChildProcess();  // kills what still runs
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// The exit status (128 + signal when killed), or -1 when it has not ended after `seconds`.
  int wait(double seconds);
  void signal(int number) const;
  std::string output() const;
  pid_t id() const { return id_; }
  /// Processes that it started, at any depth, whose program is `name`.
  std::vector<pid_t> descendants(const std::string& name) const;

 private:
  pid_t id_;
  int status_ = -1;
  bool ended_ = false;
  std::string output_file_;
};

/// CPU seconds that a process has used.
double cpu_seconds(pid_t process);

/// False for one that is gone, or dead and not yet waited for.
bool is_running(pid_t process);

}  // namespace colonnade::tests
