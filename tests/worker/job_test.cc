// Whole jobs of ranks as threads behind the control link, on the demo model.
#include "worker/in_process_job.h"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "engine/base/version.h"
#include "tests/support/shared_data.h"
#include "tests/worker/control_client_for_tests.h"
#include "tests/worker/demo_job.h"

using namespace colonnade;
using tests::ControlTestClient;
using tests::demo_model;
using tests::demo_options;
using tests::expected_tokens;
using tests::generate;
using tests::kPrompt;
using tests::start;

TEST_CASE("any number of ranks and stages gives the tokens of one rank") {
  const auto [n_ranks, n_stages] = GENERATE(table<int, int>({{1, 1}, {2, 1}, {3, 1}, {7, 1}, {2, 2}, {3, 3}, {5, 2}}));
  CAPTURE(n_ranks, n_stages);
  const auto job = start(demo_options(n_stages), n_ranks);
  ControlTestClient client(job->address());
  const control::Welcome welcome = client.enter(job->secret());
  CHECK(welcome.n_ranks() == static_cast<unsigned>(n_ranks));
  CHECK(welcome.n_stages() == static_cast<unsigned>(n_stages));
  CHECK(welcome.n_pages() == 512 / welcome.page_tokens());
  CHECK(generate(client, kPrompt, 24, 3) == expected_tokens());
  CHECK(client.statuses.back().loaded_bytes() == client.statuses.back().total_bytes());
  CHECK(client.statuses.back().total_bytes() > 0);
  tests::shut_down(client);
  for (int i = 0; i < 500 && job->running(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK_FALSE(job->running());
  CHECK(job->stop().ok());
}

TEST_CASE("several steps may be under way; results come in order") {
  const auto job = start(demo_options(3), 3);
  ControlTestClient client(job->address());
  client.enter(job->secret());
  constexpr std::uint64_t kSteps = 40;
  for (std::uint64_t id = 100; id < 100 + kSteps; ++id) client.send(tests::greedy_step(id, kPrompt, 0));
  for (std::uint64_t id = 100; id < 100 + kSteps; ++id) {
    const control::Frame answer = client.receive_answer();
    REQUIRE(answer.has_result());
    REQUIRE(answer.result().id() == id);
    REQUIRE(answer.result().rows(0).token() == expected_tokens()[0]);
  }
}

TEST_CASE("a step that does not fit is refused with one line and the job goes on") {
  const int n_ranks = GENERATE(1, 3);
  const auto job = start(demo_options(n_ranks == 3 ? 2 : 1), n_ranks);
  ControlTestClient client(job->address());
  client.enter(job->secret());
  const auto refusal = [&](control::Frame frame) {
    client.send(frame);
    const control::Frame answer = client.receive_answer();
    REQUIRE(answer.has_result());
    CHECK(answer.result().id() == frame.step().id());
    CHECK(answer.result().rows_size() == 0);
    return answer.result().error();
  };
  CHECK(refusal(tests::greedy_step(1, {1, -5}, 0)) != "");
  CHECK(refusal(tests::greedy_step(2, {1, 100'000'000}, 0)) != "");
  CHECK(refusal(tests::greedy_step(3, std::vector<std::int32_t>(65, 1), 0)) != "");  // more than max_step_tokens
  control::Frame bad_page = tests::greedy_step(4, kPrompt, 0);
  bad_page.mutable_step()->mutable_sequences(0)->set_pages(0, 16);  // the pool has 16
  CHECK(refusal(bad_page) != "");
  control::Frame bad_row = tests::greedy_step(5, kPrompt, 0);
  bad_row.mutable_step()->mutable_rows(0)->set_token_index(8);
  CHECK(refusal(bad_row).find("token 8") != std::string::npos);
  control::Frame short_table = tests::greedy_step(6, kPrompt, 30);
  short_table.mutable_step()->mutable_sequences(0)->mutable_pages()->RemoveLast();
  CHECK(refusal(short_table) != "");
  CHECK(generate(client, kPrompt, 24, 64) == expected_tokens());
}

TEST_CASE("who lacks the secret, speaks another version or sends nonsense is refused; the job stays") {
  const auto job = start(demo_options(1), 1);
  const auto reason = [&](auto&& talk) {
    ControlTestClient client(job->address());
    talk(client);
    const control::Frame answer = client.receive();
    CHECK(answer.has_refused());
    CHECK(client.at_end());
    return answer.refused().reason();
  };
  std::string wrong = job->secret();
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  CHECK(reason([&](auto& client) { client.hello(wrong, kVersion); }).find("secret") != std::string::npos);
  CHECK(reason([&](auto& client) { client.hello("", kVersion); }).find("secret") != std::string::npos);
  CHECK(reason([&](auto& client) { client.hello(job->secret() + job->secret(), kVersion); }).find("secret") != std::string::npos);
  CHECK(reason([&](auto& client) { client.hello(job->secret(), "0.0.0-other"); }).find("0.0.0-other") != std::string::npos);
  CHECK(reason([&](auto& client) { client.send(tests::greedy_step(1, kPrompt, 0)); }).find("Hello") != std::string::npos);
  CHECK(reason([&](auto& client) { client.send_raw(std::string("\xff\xff\xff\xff garbage", 12)); }).find("4096") != std::string::npos);
  CHECK(reason([&](auto& client) { client.send_raw(std::string("\x05\0\0\0\xff\xff\xff\xff\xff", 9)); }).find("Frame") != std::string::npos);

  ControlTestClient first(job->address());
  first.enter(job->secret());
  CHECK(reason([&](auto& client) { client.hello(job->secret(), kVersion); }).find("another coordinator") != std::string::npos);
  // Garbage from the coordinator itself ends its connection; it may come again.
  first.send_raw(std::string("\xff\xff\xff\xff", 4));
  control::Frame answer = first.receive_answer();
  CHECK(answer.has_refused());
  ControlTestClient second(job->address());
  second.enter(job->secret());
  CHECK(generate(second, kPrompt, 24, 64) == expected_tokens());
}

TEST_CASE("strangers who say nothing do not keep the coordinator out") {
  const auto job = start(demo_options(1), 1);
  std::vector<std::unique_ptr<ControlTestClient>> strangers;
  for (int i = 0; i < 12; ++i) strangers.push_back(std::make_unique<ControlTestClient>(job->address()));
  ControlTestClient client(job->address());
  client.enter(job->secret());
  CHECK(generate(client, kPrompt, 24, 64) == expected_tokens());
  CHECK(strangers.front()->at_end());
}

TEST_CASE("without a coordinator the job ends itself after the grace period") {
  worker::WorkerOptions options = demo_options(1);
  options.grace_s = 0.3;
  const auto job = start(options, 2);
  {
    ControlTestClient client(job->address());
    client.enter(job->secret());
  }
  for (int i = 0; i < 1000 && job->running(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  REQUIRE_FALSE(job->running());
  const Status ended = job->stop();
  REQUIRE_FALSE(ended.ok());
  CHECK(ended.error().message.find("no coordinator") != std::string::npos);
}

TEST_CASE("a corrupt blob is found while loading, and the coordinator is told which") {
  const std::filesystem::path copy = tests::scratch_folder() / "corrupt";
  std::filesystem::copy(demo_model(), copy, std::filesystem::copy_options::recursive);
  std::filesystem::path blobs;
  for (const auto& entry : std::filesystem::directory_iterator(copy))
    if (entry.path().extension() == ".paths") blobs = entry.path();
  REQUIRE(!blobs.empty());
  {
    std::fstream file(blobs, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(blobs) / 2));
    const int byte = file.peek();
    file.put(static_cast<char>(byte ^ 1));
  }
  worker::WorkerOptions options = demo_options(1);
  options.model = copy;
  const int n_ranks = GENERATE(1, 3);
  const auto started = worker::start_in_process_job(options, n_ranks);
  REQUIRE(started.ok());
  const auto& job = *started;
  std::string told;
  try {
    ControlTestClient client(job->address());
    client.enter(job->secret());
  } catch (const std::runtime_error& error) {
    told = error.what();
  }
  CHECK(told.find("checksum") != std::string::npos);
  const Status ended = job->stop();
  REQUIRE_FALSE(ended.ok());
  CHECK(ended.error().message.find("checksum") != std::string::npos);
}

TEST_CASE("a job can be stopped at any moment") {
  const int delay_ms = GENERATE(0, 3, 20, 100);
  const auto job = start(demo_options(2), 4);
  std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
  CHECK(job->stop().ok());
  CHECK_FALSE(job->running());
  CHECK(job->stop().ok());
  CHECK_FALSE(std::filesystem::exists(job->address().substr(5)));
}
