// A program that runs as our child in a session of its own, so that a terminal's Ctrl-C does not reach it and all that
// it starts can be found again. It ends when we do.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/result.h"

namespace colonnade::coordinator {

struct ChildCommand {
  std::vector<std::string> arguments;  // [0]: the program, looked for in PATH unless it has a slash
  std::vector<std::pair<std::string, std::string>> environment;  // added to ours
  int death_signal = 9;                // what it gets when the thread that started it ends
};

/// Used by one thread, which must live as long as the child.
class ChildProcess {
 public:
  /// kNotFound or kIo name the program.
  static Result<ChildProcess> start(const ChildCommand& command);
  ~ChildProcess();  // end_session()
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;

  pid_t pid() const { return pid_; }
  int exit_descriptor() const { return exit_descriptor_; }      // readable once it has ended
  int output_descriptor() const { return output_descriptor_; }  // its stdout and stderr

  /// How it ended: "exited with status 1", "was ended by signal 9"; nothing while it runs.
  std::optional<std::string> ended();

  void send_signal(int number) const;

  /// SIGKILL for the child and for everything on this host that belongs to its session; waits for the child.
  void end_session();

 private:
  ChildProcess(pid_t pid, int exit_descriptor, int output_descriptor)
      : pid_(pid), exit_descriptor_(exit_descriptor), output_descriptor_(output_descriptor) {}

  pid_t pid_;
  int exit_descriptor_;
  int output_descriptor_;
  bool reaped_ = false;
  std::string how_;
};

/// The full path of a program in PATH; "" when there is none.
std::string find_program(const std::string& name);

}  // namespace colonnade::coordinator
