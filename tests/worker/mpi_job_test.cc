// Whole jobs of the program itself: `colonnade worker` alone and under mpirun, seen from the control link.
#include <catch2/catch.hpp>

#include <signal.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/support/shared_data.h"
#include "tests/worker/child_process.h"
#include "tests/worker/demo_job.h"

using namespace colonnade;
using tests::ChildProcess;
using tests::ControlTestClient;

namespace {

const std::string kSecret = "the secret of a test";

struct Job {
  std::string address = "unix:" + (tests::scratch_folder() / "control").string();
  ChildProcess process;

  Job(int n_ranks, int n_stages, std::vector<std::string> more = {})
      : process(command(n_ranks, n_stages, address, std::move(more)),
                {"COLONNADE_SECRET=" + kSecret, "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"}) {}

  static std::vector<std::string> command(int n_ranks, int n_stages, const std::string& address, std::vector<std::string> more) {
    std::vector<std::string> words;
    if (n_ranks > 1)
      words = {COLONNADE_MPIRUN, "--oversubscribe", "--bind-to", "none", "-n", std::to_string(n_ranks), "-x", "COLONNADE_SECRET"};
    words.insert(words.end(), {COLONNADE_PROGRAM, "worker", tests::demo_model().string(), "--control", address, "--stages",
                               std::to_string(n_stages), "--kv", "f32", "--kv-tokens", "512", "--max-step-tokens", "64",
                               "--threads", "1"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
};

}  // namespace

TEST_CASE("ranks as processes generate the tokens of one rank, and leave when told") {
  const auto [n_ranks, n_stages] = GENERATE(table<int, int>({{1, 1}, {2, 1}, {3, 1}, {4, 2}, {7, 1}, {3, 3}}));
  CAPTURE(n_ranks, n_stages);
  Job job(n_ranks, n_stages);
  ControlTestClient client(job.address);
  const control::Welcome welcome = client.enter(kSecret);
  CHECK(welcome.n_ranks() == static_cast<unsigned>(n_ranks));
  CHECK(welcome.transport() == (n_ranks == 1 ? "one rank" : "MPI (shared memory)"));
  CHECK(tests::generate(client, tests::kPrompt, 24, 3) == tests::expected_tokens());
  tests::shut_down(client);
  CHECK(job.process.wait(20) == 0);
  CAPTURE(job.process.output());
  CHECK_FALSE(std::filesystem::exists(job.address.substr(5)));
}

TEST_CASE("an idle job of several ranks leaves the CPU alone") {
  Job job(4, 2);
  ControlTestClient client(job.address);
  client.enter(kSecret);
  CHECK(tests::generate(client, tests::kPrompt, 2, 64).size() == 2);
  const std::vector<pid_t> ranks = job.process.descendants("colonnade");
  REQUIRE(ranks.size() == 4);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  double before = 0;
  for (const pid_t rank : ranks) before += tests::cpu_seconds(rank);
  constexpr double kSeconds = 4;
  std::this_thread::sleep_for(std::chrono::duration<double>(kSeconds));
  double after = 0;
  for (const pid_t rank : ranks) after += tests::cpu_seconds(rank);
  // Ticks of 10 ms: one a rank is measuring noise.
  CHECK(after - before <= 0.01 * kSeconds + 0.01 * 4);
  CHECK(tests::generate(client, tests::kPrompt, 24, 64) == tests::expected_tokens());
}

TEST_CASE("a killed rank takes the job down within seconds, with an exit status that says so") {
  Job job(3, 1);
  ControlTestClient client(job.address);
  client.enter(kSecret);
  const std::vector<pid_t> ranks = job.process.descendants("colonnade");
  REQUIRE(ranks.size() == 3);
  ::kill(ranks.back(), SIGKILL);
  const int status = job.process.wait(10);
  CAPTURE(job.process.output());
  CHECK(status > 0);
}

TEST_CASE("a rank that hangs is noticed by its silence") {
  Job job(2, 1, {"--heartbeat-timeout", "2"});
  ControlTestClient client(job.address);
  client.enter(kSecret);
  const std::vector<pid_t> ranks = job.process.descendants("colonnade");
  REQUIRE(ranks.size() == 2);
  ::kill(ranks.back(), SIGSTOP);
  const int status = job.process.wait(15);
  CAPTURE(job.process.output());
  CHECK(status > 0);
  CHECK(job.process.output().find("has been silent") != std::string::npos);
}

TEST_CASE("killing mpirun ends its ranks") {
  Job job(2, 1);
  ControlTestClient client(job.address);
  client.enter(kSecret);
  const std::vector<pid_t> ranks = job.process.descendants("colonnade");
  REQUIRE(ranks.size() == 2);
  job.process.signal(SIGKILL);
  CHECK(job.process.wait(5) == 128 + SIGKILL);
  const auto all_gone = [&] {
    for (const pid_t rank : ranks)
      if (tests::is_running(rank)) return false;
    return true;
  };
  for (int i = 0; i < 300 && !all_gone(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(all_gone());
}

TEST_CASE("what a worker cannot run with is one line and a non-zero exit") {
  const auto says = [](std::vector<std::string> arguments, std::vector<std::string> environment) {
    arguments.insert(arguments.begin(), {COLONNADE_PROGRAM, "worker"});
    ChildProcess process(arguments, environment);
    const int status = process.wait(20);
    CAPTURE(process.output());
    CHECK(status > 0);
    return process.output();
  };
  const std::string model = tests::demo_model().string();
  const std::string address = "unix:" + (tests::scratch_folder() / "control").string();
  const std::vector<std::string> secret{"COLONNADE_SECRET=x"};
  CHECK(says({model}, secret).find("--control") != std::string::npos);
  CHECK(says({model, "--control", address}, {}).find("COLONNADE_SECRET") != std::string::npos);
  CHECK(says({model, "--control", "somewhere"}, secret).find("unix:/path or tcp:host:port") != std::string::npos);
  CHECK(says({model, "--control", address, "--speeds", "1,zwei"}, secret).find("zwei") != std::string::npos);
  CHECK(says({"/nowhere", "--control", address}, secret).find("/nowhere") != std::string::npos);
  CHECK(says({model, "--control", address, "--stages", "40"}, secret).find("stages") != std::string::npos);
  CHECK(says({model, "--control", address, "--kv-tokens", "1000000000"}, secret).find("GiB") != std::string::npos);
  CHECK(says({model, "--control", address, "--isa", "abacus"}, secret).find("abacus") != std::string::npos);
}
