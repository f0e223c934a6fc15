#include "coordinator/supervisor.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <thread>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "engine/base/log.h"

namespace colonnade::coordinator {
namespace {

// Time for the link to tell why, when a job has ended: its own words are better than an exit status.
constexpr double kLastWordsS = 0.2;
// mpirun takes a second or two to end the other ranks when one is gone.
constexpr double kCollapseS = 3.0;

/// Lines of the job. Ours have their time and level already; others (mpirun's) get them here.
class JobOutput {
 public:
  void take(int descriptor) {
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = ::read(descriptor, buffer.data(), buffer.size())) > 0;) {
      line_.append(buffer.data(), static_cast<std::size_t>(n));
      for (std::size_t end = 0; (end = line_.find('\n')) != std::string::npos;) {
        show(line_.substr(0, end));
        line_.erase(0, end + 1);
      }
    }
  }
  const std::string& last() const { return last_; }

 private:
  void show(const std::string& line) {
    if (line.find_first_not_of(" -\t\r") == std::string::npos) return;
    const bool logged = line.size() > 20 && std::isdigit(static_cast<unsigned char>(line[0])) != 0 && line[10] == 'T';
    if (logged) {
      (void)!::write(2, (line + "\n").data(), line.size() + 1);
    } else {
      log_info("job: " + line);
      last_ = line;
    }
  }
  std::string line_;
  std::string last_;
};

}  // namespace

struct Supervisor::State {
  State(SupervisorOptions supervisor_options, GenerationService& generation_service)
      : options(std::move(supervisor_options)), service(generation_service), wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~State() { ::close(wake); }

  const SupervisorOptions options;
  GenerationService& service;
  const int wake;
  std::atomic<bool> stopping{false};
  std::atomic<bool> lost{false};  // the service gave the job up
  std::atomic<int> pid{-1};
  std::thread thread;

  void ring() {
    const std::uint64_t one = 1;
    (void)!::write(wake, &one, sizeof one);
  }
  void hush() {
    std::uint64_t count = 0;
    (void)!::read(wake, &count, sizeof count);
  }
  void wait(double seconds, ChildProcess& child, JobOutput& output);
  void wait(double seconds);
  void pause(double seconds);
  void run();
  bool run_job();
  void watch(ChildProcess& child, JobOutput& output);
  void end(ChildProcess& child, JobOutput& output);
};

/// Until the job ended or printed, or somebody rang.
void Supervisor::State::wait(double seconds, ChildProcess& child, JobOutput& output) {
  std::array<pollfd, 3> polled{{{wake, POLLIN, 0}, {child.exit_descriptor(), POLLIN, 0}, {child.output_descriptor(), POLLIN, 0}}};
  ::poll(polled.data(), polled.size(), seconds < 0 ? -1 : static_cast<int>(seconds * 1e3) + 1);
  if (polled[0].revents != 0) hush();
  if (polled[2].revents == 0) return;
  output.take(child.output_descriptor());
  // At its end a pipe is always readable: do not spin until the process is gone as well.
  if ((polled[2].revents & POLLIN) == 0 && polled[1].revents == 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

/// Until somebody rang.
void Supervisor::State::wait(double seconds) {
  pollfd polled{wake, POLLIN, 0};
  ::poll(&polled, 1, static_cast<int>(seconds * 1e3) + 1);
  if (polled.revents != 0) hush();
}

void Supervisor::State::pause(double seconds) {
  const double end = now_seconds() + seconds;
  while (!stopping && now_seconds() < end) wait(end - now_seconds());
}

void Supervisor::State::watch(ChildProcess& child, JobOutput& output) {
  while (!stopping && !lost && !child.ended()) wait(-1, child, output);
  output.take(child.output_descriptor());
  if (stopping || lost || !child.ended()) return;
  const double end = now_seconds() + kLastWordsS;
  while (!lost && !stopping && now_seconds() < end) wait(end - now_seconds());
  if (!lost)
    service.job_died({ErrorCode::kUnavailable,
                      text("the worker job ", *child.ended(), output.last().empty() ? "" : ": ", output.last())});
}

void Supervisor::State::end(ChildProcess& child, JobOutput& output) {
  const auto wait_for_end = [&](double seconds) {
    for (const double limit = now_seconds() + seconds; !child.ended() && now_seconds() < limit;)
      wait(std::max(0.0, limit - now_seconds()), child, output);
    return child.ended().has_value();
  };
  // A job that was told to leave needs time; one that lost a rank ends by itself, and mpirun does not like a SIGTERM
  // in the middle of that.
  const bool told = stopping && !lost;
  if (!wait_for_end(told ? options.stop_grace_s : kCollapseS)) {
    log_warning(told ? "the worker job did not leave; ending it" : "the worker job hangs; ending it");
    child.send_signal(SIGTERM);
    wait_for_end(options.stop_grace_s);
  }
  child.end_session();
  output.take(child.output_descriptor());
}

/// Starts a job and returns when it has ended. False when it could not start at all.
bool Supervisor::State::run_job() {
  lost = false;
  auto start = options.make_start();
  auto child = start.ok() ? ChildProcess::start(start->command) : Result<ChildProcess>(start.error());
  if (!child.ok()) {
    service.job_died(child.error());
    return false;
  }
  pid = child->pid();
  JobOutput output;
  service.connect(start->endpoint, [this](const Error&) {
    lost = true;
    ring();
  });
  watch(*child, output);
  end(*child, output);
  pid = -1;
  if (!stopping) log_error(text("the worker job ", *child->ended()));
  return true;
}

void Supervisor::State::run() {
  double delay = options.first_delay_s;
  while (!stopping) {
    const double began = now_seconds();
    const std::uint64_t ready_before = service.jobs_ready();
    const bool started = run_job();
    const bool was_ready = service.jobs_ready() > ready_before;
    if (stopping) return;
    if (!options.restart || service.jobs_ready() == 0) return service.give_up();
    if (was_ready && now_seconds() - began > options.settled_s) delay = options.first_delay_s;
    log_warning(text(started ? "" : "the worker job could not start; ", "starting the worker job again in ", delay, " s"));
    pause(delay);
    delay = std::min(2 * delay, options.longest_delay_s);
  }
}

Supervisor::Supervisor(SupervisorOptions options, GenerationService& service)
    : state_(std::make_unique<State>(std::move(options), service)) {}

Supervisor::~Supervisor() { stop(); }

void Supervisor::start() {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

int Supervisor::job_pid() const { return state_->pid; }

void Supervisor::stop() {
  state_->stopping = true;
  state_->ring();
  if (state_->thread.joinable()) state_->thread.join();
}

}  // namespace colonnade::coordinator
