// Child processes and their supervision, with shell commands for jobs.
#include "coordinator/supervisor.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include <catch2/catch.hpp>

#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "tests/coordinator/fake_job.h"
#include "tests/coordinator/fake_model.h"
#include "tests/support/shared_data.h"

namespace colonnade::tests {
namespace {

using namespace coordinator;

ChildCommand shell(const std::string& script) { return {.arguments = {"sh", "-c", script}, .environment = {}}; }

std::string wait_for_end(ChildProcess& child) {
  pollfd polled{child.exit_descriptor(), POLLIN, 0};
  ::poll(&polled, 1, 10000);
  return child.ended().value_or("still runs");
}

bool exists(int pid) { return ::kill(pid, 0) == 0; }

template <typename Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 1000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return condition();
}

}  // namespace

TEST_CASE("a child tells how it ended, and what it said") {
  auto child = ChildProcess::start({.arguments = {"sh", "-c", "echo $WORD; exit 3"}, .environment = {{"WORD", "hello"}}});
  REQUIRE(child.ok());
  CHECK(wait_for_end(*child) == "exited with status 3");
  char said[32] = {};
  CHECK(::read(child->output_descriptor(), said, sizeof said) == 6);
  CHECK(std::string(said) == "hello\n");

  auto killed = ChildProcess::start(shell("kill -9 $$"));
  REQUIRE(killed.ok());
  CHECK(wait_for_end(*killed) == "was ended by signal 9");
}

TEST_CASE("a program that is not there is named") {
  CHECK(ChildProcess::start({.arguments = {"no-such-program"}, .environment = {}}).error().message ==
        "no-such-program: no such program");
  const auto file = scratch_folder() / "broken";
  std::ofstream(file) << "\x7f" "ELF nothing";
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  CHECK_THAT(ChildProcess::start({.arguments = {file.string()}, .environment = {}}).error().message,
             Catch::Contains("cannot start " + file.string()));
}

TEST_CASE("the end of a child is the end of all that it started") {
  const auto file = scratch_folder() / "pid";
  auto child = ChildProcess::start(shell("sleep 1000 & echo $! > " + file.string() + ".part; mv " + file.string() +
                                         ".part " + file.string() + "; wait"));
  REQUIRE(child.ok());
  REQUIRE(eventually([&] { return std::filesystem::exists(file); }));
  int grandchild = 0;
  std::ifstream(file) >> grandchild;
  REQUIRE(exists(grandchild));
  child->end_session();
  CHECK(child->ended() == "was ended by signal 9");
  // Nobody may wait for it in this container: a dead one can stay as a zombie.
  CHECK(eventually([&] {
    std::ifstream stat(text("/proc/", grandchild, "/stat"));
    std::string pid, name, state;
    return !(stat >> pid >> name >> state) || state == "Z";
  }));
}

TEST_CASE("a job that cannot start is not tried again, and says why") {
  ServiceOptions service_options;
  service_options.vocab_size = kFakeVocab;
  service_options.n_pages = 16;
  GenerationService service(service_options);
  int starts = 0;
  SupervisorOptions options;
  options.first_delay_s = 0.01;
  options.make_start = [&]() -> Result<JobStart> {
    ++starts;
    return JobStart{shell("echo libmpi is missing; exit 7"), {"unix:/nowhere", "secret"}, nullptr};
  };
  Supervisor supervisor(std::move(options), service);
  supervisor.start();
  const Status ready = service.wait_ready();
  REQUIRE_FALSE(ready.ok());
  CHECK(ready.error().message == "the worker job exited with status 7: libmpi is missing");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  service.stop();
  supervisor.stop();
  CHECK(starts == 1);
}

TEST_CASE("a job that was ready is started again, each time with what it needs") {
  ServiceOptions service_options;
  service_options.vocab_size = kFakeVocab;
  service_options.n_pages = 16;
  GenerationService service(service_options);
  std::vector<std::unique_ptr<FakeJob>> jobs;
  std::weak_ptr<void> kept;
  std::atomic<bool> overlapped{false};  // the supervisor's thread must not use Catch2
  SupervisorOptions options;
  options.first_delay_s = 0.01;
  options.stop_grace_s = 0.2;
  options.make_start = [&]() -> Result<JobStart> {
    if (!kept.expired()) overlapped = true;
    jobs.push_back(std::make_unique<FakeJob>(FakeJobOptions{}));
    auto keep = std::make_shared<int>(1);
    kept = keep;
    return JobStart{shell("exec sleep 1000"), {jobs.back()->address(), "secret"}, keep};
  };
  {
    Supervisor supervisor(std::move(options), service);
    supervisor.start();
    REQUIRE(service.wait_ready().ok());
    const int first = supervisor.job_pid();
    ::kill(first, SIGKILL);
    REQUIRE(eventually([&] { return service.jobs_ready() == 2; }));
    CHECK(service.counters().job_losses == 1);
    CHECK(supervisor.job_pid() != first);
    CHECK(exists(supervisor.job_pid()));
    const int second = supervisor.job_pid();
    const double began = now_seconds();
    service.stop();
    supervisor.stop();  // sleep knows nothing of Shutdown: SIGTERM ends it
    CHECK(now_seconds() - began < 5);
    CHECK_FALSE(exists(second));
  }
  CHECK(kept.expired());
  CHECK(jobs.size() == 2);
  CHECK_FALSE(overlapped);
}

}  // namespace colonnade::tests
