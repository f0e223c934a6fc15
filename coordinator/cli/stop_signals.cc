#include "coordinator/cli/stop_signals.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>

#include "engine/base/check.h"

namespace colonnade::cli {
namespace {

// A handler can reach nothing but these.
std::atomic<int> g_count{0};
std::atomic<int> g_last{0};
std::array<int, 2> g_pipe{-1, -1};

void write_byte() { (void)!::write(g_pipe[1], "", 1); }

void on_signal(int number) {
  g_last = number;
  g_count.fetch_add(1);
  write_byte();
}

void install(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  // No SA_RESTART: reading a line from the terminal ends as well.
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

StopSignals::StopSignals() {
  COLONNADE_CHECK(g_pipe[0] < 0, "two StopSignals at a time");
  COLONNADE_CHECK(::pipe2(g_pipe.data(), O_CLOEXEC | O_NONBLOCK) == 0, "no pipe for signals");
  g_count = 0;
  g_last = 0;
  install(on_signal);
}

StopSignals::~StopSignals() {
  install(SIG_DFL);
  for (int& end : g_pipe) {
    ::close(end);
    end = -1;
  }
}

int StopSignals::count() const { return g_count.load(); }

int StopSignals::last() const { return g_last.load(); }

int StopSignals::descriptor() const { return g_pipe[0]; }

void StopSignals::wait(double seconds) {
  pollfd polled{g_pipe[0], POLLIN, 0};
  ::poll(&polled, 1, seconds < 0 ? -1 : static_cast<int>(seconds * 1e3) + 1);
  std::array<char, 64> drained{};
  while (::read(g_pipe[0], drained.data(), drained.size()) > 0) {
  }
}

void StopSignals::ring() { write_byte(); }

}  // namespace colonnade::cli
