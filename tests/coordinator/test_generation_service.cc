// The service and its link against a fake job: what requests get, and what happens when the job misbehaves.
#include "coordinator/generation_service.h"

#include <sys/socket.h>

#include <filesystem>
#include <future>
#include <mutex>
#include <optional>

#include <catch2/catch.hpp>

#include "engine/base/clock.h"
#include "tests/coordinator/fake_job.h"
#include "tests/coordinator/fake_model.h"
#include "tests/support/skip.h"

namespace colonnade::tests {
namespace {

using namespace coordinator;

ServiceOptions fast_options() {
  ServiceOptions options;
  options.vocab_size = kFakeVocab;
  options.context_tokens = 200;
  options.n_pages = 64;
  options.page_tokens = 4;
  options.max_step_tokens = 16;
  options.step_deadline_s = 1.0;
  options.heartbeat_timeout_s = 1.0;
  options.connect_timeout_s = 5.0;
  return options;
}

GenerationRequest request_of(int n_prompt, int max_tokens, int first = 1) {
  GenerationRequest request;
  for (int i = 0; i < n_prompt; ++i) request.prompt.push_back((first + 3 * i) % kFakeVocab);
  request.max_tokens = max_tokens;
  return request;
}

/// A request whose end can be waited for.
struct Waiting {
  std::vector<std::int32_t> output;
  std::promise<std::pair<FinishReason, std::string>> end;
  std::future<std::pair<FinishReason, std::string>> future = end.get_future();
  GenerationId id = 0;
};

std::shared_ptr<Waiting> submit(GenerationService& service, GenerationRequest request) {
  auto waiting = std::make_shared<Waiting>();
  GenerationCallbacks callbacks;
  callbacks.on_token = [waiting](const TokenEvent& event) { waiting->output.push_back(event.token); };
  callbacks.on_finish = [waiting](FinishReason reason, const Error* error) {
    waiting->end.set_value({reason, error != nullptr ? error->message : ""});
  };
  const auto id = service.submit(std::move(request), std::move(callbacks));
  REQUIRE(id.ok());
  waiting->id = *id;
  return waiting;
}

/// Connects and returns why the job was given up, or "" while it lives.
struct Connected {
  std::mutex mutex;
  std::string lost;
  std::promise<void> told;
};
std::shared_ptr<Connected> connect(GenerationService& service, const FakeJob& job, const std::string& secret = "secret") {
  auto connected = std::make_shared<Connected>();
  service.connect({job.address(), secret}, [connected](const Error& error) {
    const std::lock_guard lock(connected->mutex);
    connected->lost = error.message;
    connected->told.set_value();
  });
  return connected;
}

}  // namespace

TEST_CASE("requests from many threads get what they would get alone") {
  const int n_stages = GENERATE(1, 3);
  FakeJob job({.n_stages = n_stages});
  GenerationService service(fast_options());
  connect(service, job);
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::vector<std::pair<GenerationRequest, std::shared_ptr<Waiting>>> all;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        GenerationRequest request = request_of(1 + (t * 10 + i) * 3 % 70, 1 + i * 4, t);
        const std::lock_guard lock(mutex);
        auto waiting = submit(service, request);
        if (i == 5) service.cancel(waiting->id);
        all.emplace_back(std::move(request), std::move(waiting));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& [request, waiting] : all) {
    REQUIRE(waiting->future.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
    const auto reason = waiting->future.get().first;
    const auto expected = fake_output(request, 200);
    if (reason == FinishReason::kCancelled) {
      REQUIRE(std::equal(waiting->output.begin(), waiting->output.end(), expected.begin()));
    } else {
      REQUIRE(reason == FinishReason::kLength);
      REQUIRE(waiting->output == expected);
    }
  }
  CHECK(service.drain(5.0));
  CHECK(service.counters().pages_used == 0);
  CHECK(service.counters().requests == 40);
  service.stop();
}

TEST_CASE("what the coordinator adds to a step is small") {
  FakeJob job({.n_pages = 4096, .page_tokens = 32, .max_step_tokens = 512});
  ServiceOptions options = fast_options();
  options.n_pages = 4096;
  options.page_tokens = 32;
  options.max_step_tokens = 512;
  options.context_tokens = 4000;
  GenerationService service(options);
  connect(service, job);
  std::vector<std::shared_ptr<Waiting>> all;
  for (int i = 0; i < 32; ++i) all.push_back(submit(service, request_of(100 + i, 100, i)));
  for (const auto& waiting : all) REQUIRE(waiting->future.wait_for(std::chrono::seconds(60)) == std::future_status::ready);
  REQUIRE(service.drain(5.0));
  const ServiceCounters counters = service.counters();
  const double us = counters.coordinator_us / static_cast<double>(counters.steps);
  WARN("coordinator: " << us << " us a step of up to 32 sequences, " << counters.steps << " steps");
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
  CHECK(us < 1000);  // says only that nothing is badly wrong: the machine may be busy
#endif
}

TEST_CASE("a job is taken in, byte by byte if need be, and told to leave") {
  auto job = std::make_unique<FakeJob>(FakeJobOptions{.in_pieces = true});
  GenerationService service(fast_options());
  CHECK(service.state().phase == JobPhase::kNone);
  connect(service, *job);
  REQUIRE(service.wait_ready().ok());
  const JobState state = service.state();
  CHECK(state.phase == JobPhase::kReady);
  CHECK(state.kernels == "fake");
  CHECK(state.percent() == 100.0);
  const auto waiting = submit(service, request_of(20, 5));
  CHECK(waiting->future.get().first == FinishReason::kLength);
  service.stop();
  for (int i = 0; i < 500 && !job->told_to_leave(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(job->told_to_leave());
  CHECK(service.state().phase == JobPhase::kStopped);
  CHECK(service.submit(request_of(2, 2), {}).error().code == ErrorCode::kUnavailable);
}

TEST_CASE("a job that cannot start says why") {
  const auto [options, secret, expected] = GENERATE(table<FakeJobOptions, std::string, std::string>({
      {{.welcome_refusal = "two coordinators"}, "secret", "the worker job refused the coordinator: two coordinators"},
      {{}, "wrong", "the worker job refused the coordinator: wrong secret"},
      {{.failure = "blob 3 is corrupt"}, "secret", "blob 3 is corrupt"},
      {{.n_pages = 0}, "secret", "the worker job offers 0 KV pages of 4 tokens, 16 tokens a step, 1 stages: expected at least 1 of each"},
  }));
  FakeJob job(options);
  GenerationService service(fast_options());
  connect(service, job, secret);
  const Status ready = service.wait_ready();
  REQUIRE_FALSE(ready.ok());
  CHECK(ready.error().message == expected);
}

TEST_CASE("nobody listening is noticed") {
  ServiceOptions options = fast_options();
  options.connect_timeout_s = 0.2;
  GenerationService service(options);
  service.connect({"unix:/nowhere/control", "secret"}, {});
  CHECK(service.wait_ready().error().code == ErrorCode::kTimeout);
  service.connect({"unix/nowhere", "secret"}, {});
  CHECK(service.wait_ready().error().message == "control link: expected unix:PATH or tcp:HOST:PORT, found \"unix/nowhere\"");
}

TEST_CASE("a job that dies or hangs is given up, and the next one serves what waits") {
  FakeJobOptions bad;
  std::string expected;
  SECTION("closes") {
    bad.close_after_steps = 3;
    expected = "closed the control link";
  }
  SECTION("hangs in a step") {
    bad.stall_after_steps = 3;
    expected = "a step took longer than 1 s";
  }
  SECTION("falls silent") {
    bad.silent = true;
    bad.stall_after_steps = 1;
    expected = "";  // either that or the step's deadline
  }
  SECTION("sends garbage") {
    bad.garbage = true;
    expected = "3 bytes that are no frame";
  }
  SECTION("refuses a step") {
    bad.step_refusal = "page 7 of 4";
    expected = "refused step 1: page 7 of 4";
  }
  // One running sequence at a time, so that the second request waits.
  ServiceOptions options = fast_options();
  options.max_running = 1;
  GenerationService service(options);
  const auto begun = submit(service, request_of(10, 50));
  const auto queued = submit(service, request_of(10, 5, 9));
  const double began = now_seconds();
  {
    FakeJob job(bad);
    const auto connected = connect(service, job);
    REQUIRE(connected->told.get_future().wait_for(std::chrono::seconds(10)) == std::future_status::ready);
    CHECK_THAT(connected->lost, Catch::Contains(expected));
  }
  CHECK(now_seconds() - began < 8);
  CHECK(service.counters().job_losses == 1);
  FakeJob good({});
  connect(service, good);
  REQUIRE(service.wait_ready().ok());
  if (!bad.garbage) {  // else it may not have begun
    const auto [reason, message] = begun->future.get();
    CHECK(reason == FinishReason::kError);
    CHECK_THAT(message, Catch::Contains("the worker job ended while it computed this request: "));
  }
  CHECK(queued->future.get().first == FinishReason::kLength);
  CHECK(queued->output == fake_output(request_of(10, 5, 9), 200));
}

TEST_CASE("when no job will follow, all who wait get an error") {
  ServiceOptions options = fast_options();
  options.max_running = 1;
  GenerationService service(options);
  const auto begun = submit(service, request_of(10, 50));
  const auto queued = submit(service, request_of(10, 5, 9));
  FakeJob job({.close_after_steps = 3});
  std::string reason;
  SECTION("a job that was ready") {
    service.connect({job.address(), "secret"}, [&](const Error&) { service.give_up(); });
    reason = "closed the control link";
  }
  SECTION("none at all") { service.give_up(); }
  for (const auto& waiting : {begun, queued}) {
    REQUIRE(waiting->future.wait_for(std::chrono::seconds(10)) == std::future_status::ready);
    CHECK(waiting->future.get().first == FinishReason::kError);
  }
  const std::string expected = "the worker job has ended and none will follow";
  const Status ready = service.wait_ready();
  REQUIRE_FALSE(ready.ok());
  CHECK_THAT(ready.error().message, Catch::Contains(expected) && Catch::Contains(reason));
  CHECK(service.start_failed());
  const auto refused = service.submit(request_of(2, 2), {});
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::kUnavailable);
  CHECK_THAT(refused.error().message, Catch::Contains(expected));
}

TEST_CASE("the service stops although its clock rang meanwhile") {
  const auto service = std::make_shared<GenerationService>(fast_options());
  GenerationCallbacks callbacks;
  callbacks.on_finish = [](FinishReason, const Error*) { std::this_thread::sleep_for(std::chrono::milliseconds(700)); };
  const auto id = service->submit(request_of(4, 4), std::move(callbacks));
  REQUIRE(id.ok());
  service->cancel(*id);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto stopped = std::make_shared<std::promise<void>>();
  std::thread([service, stopped] {
    service->stop();
    stopped->set_value();
  }).detach();
  CHECK(stopped->get_future().wait_for(std::chrono::seconds(5)) == std::future_status::ready);
}

TEST_CASE("a connection that is closed before the Welcome is tried again") {
  FakeJob job({.hang_ups = 3});
  GenerationService service(fast_options());
  connect(service, job);
  const Status ready = service.wait_ready();
  CHECK((ready.ok() ? "" : ready.error().message) == "");
  CHECK(submit(service, request_of(20, 5))->future.get().first == FinishReason::kLength);
}

TEST_CASE("a job is found at any address of its host") {
  // "localhost" is ::1 as well on most machines, and that comes first.
  const auto [family, host] = GENERATE(table<int, std::string>({{AF_INET, "localhost"}, {AF_INET6, "[::1]"}, {AF_INET6, "::1"}}));
  if (family == AF_INET6 && !std::filesystem::exists("/proc/net/if_inet6")) COLONNADE_SKIP("this machine has no IPv6");
  FakeJob job({.tcp_family = family});
  GenerationService service(fast_options());
  service.connect({"tcp:" + host + ":" + job.address(), "secret"}, {});
  const Status ready = service.wait_ready();
  CHECK((ready.ok() ? "" : ready.error().message) == "");
}

TEST_CASE("draining lets requests finish, but not for ever") {
  FakeJob job({.step_us = 2000});
  GenerationService service(fast_options());
  connect(service, job);
  const auto short_one = submit(service, request_of(4, 10));
  const auto long_one = submit(service, request_of(4, 190));
  CHECK_FALSE(service.drain(0.1));
  CHECK(service.submit(request_of(2, 2), {}).error().message == "the server is stopping");
  CHECK(short_one->future.get().first == FinishReason::kLength);
  service.stop();
  CHECK(long_one->future.get().first == FinishReason::kCancelled);
}

TEST_CASE("a request that can never run and one too many are refused at once") {
  ServiceOptions options = fast_options();
  options.max_running = 1;
  options.max_waiting = 2;
  GenerationService service(options);
  CHECK(service.submit(request_of(201, 1), {}).error().message == "the prompt has 201 tokens, the context is 200 tokens");
  for (int i = 0; i < 3; ++i) submit(service, request_of(4, 4));
  const auto refused = service.submit(request_of(4, 4), {});
  CHECK(refused.error().code == ErrorCode::kExhausted);
  CHECK(refused.error().message == "too many requests: 3 are running or waiting, at most 3 may");
}

}  // namespace colonnade::tests
