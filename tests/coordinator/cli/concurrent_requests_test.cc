// Many requests at a time through the whole path below HTTP: scheduler, control link, ranks as threads, the demo model and
// small ones with windows.
// Each must get the same bits as alone.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <random>

#include <catch2/catch.hpp>

#include "coordinator/cli/launch.h"
#include "engine/base/json.h"
#include "tests/support/shared_data.h"
#include "tests/worker/demo_job.h"

namespace colonnade::tests {
namespace {

using namespace coordinator;

struct Answer {
  std::vector<std::int32_t> tokens;
  std::vector<float> logprobs;  // of the prompt where asked for, then of the tokens, alternatives included
  FinishReason reason = FinishReason::kError;
  std::string error;
};

struct Pending {
  GenerationId id = 0;
  int cancel_after = -1;  // tokens
  Answer answer;
  std::promise<void> done;
};

void note(Answer& answer, const TokenEvent& event) {
  answer.logprobs.push_back(event.logprob);
  for (const Alternative& alternative : event.top) {
    answer.logprobs.push_back(static_cast<float>(alternative.token));
    answer.logprobs.push_back(alternative.logprob);
  }
}

std::shared_ptr<Pending> submit(Generator& generator, const GenerationRequest& request, int cancel_after = -1) {
  auto pending = std::make_shared<Pending>();
  pending->cancel_after = cancel_after;
  auto id = std::make_shared<std::promise<GenerationId>>();
  GenerationCallbacks callbacks;
  callbacks.on_prompt_token = [pending](int, const TokenEvent& event) { note(pending->answer, event); };
  callbacks.on_token = [pending, &generator, known = id->get_future().share()](const TokenEvent& event) {
    note(pending->answer, event);
    pending->answer.tokens.push_back(event.token);
    if (static_cast<int>(pending->answer.tokens.size()) == pending->cancel_after) generator.cancel(known.get());
  };
  callbacks.on_finish = [pending](FinishReason reason, const Error* error) {
    pending->answer.reason = reason;
    if (error != nullptr) pending->answer.error = error->message;
    pending->done.set_value();
  };
  const auto submitted = generator.submit(request, std::move(callbacks));
  if (!submitted.ok()) FAIL(submitted.error().message);
  id->set_value(*submitted);
  return pending;
}

const Answer& wait(Pending& pending) {
  REQUIRE(pending.done.get_future().wait_for(std::chrono::seconds(120)) == std::future_status::ready);
  return pending.answer;
}

std::vector<GenerationRequest> mixed_requests(int count, int vocab_size, int context) {
  std::mt19937 random(11);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < count; ++i) {
    GenerationRequest request;
    const int n_prompt = 1 + below(i % 8 == 0 ? context / 2 : 40);
    const bool shared_beginning = i % 3 == 0;
    for (int p = 0; p < n_prompt; ++p)
      request.prompt.push_back(shared_beginning && p < 33 ? 3 + p : 3 + below(vocab_size - 3));
    request.max_tokens = 1 + below(i % 2 == 0 ? 20 : 100);
    request.seed = random();
    if (i % 2 == 0) request.temperature = 0.9f;
    if (i % 4 == 0) request.top_p = 0.9f;
    if (i % 5 == 0) request.top_k = 12;
    if (i % 6 == 0) request.min_p = 0.05f;
    if (i % 7 == 0) request.frequency_penalty = 0.5f;
    if (i % 9 == 0) request.repetition_penalty = 1.2f;
    request.n_top = i % 3;
    if (i % 11 == 0) request.prompt_output = PromptOutput::kLogprobs;
    requests.push_back(std::move(request));
  }
  return requests;
}

/// A golden's weights with windows of 40 tokens and a longer context.
std::filesystem::path windowed_model(const char* name) {
  const auto folder = scratch_folder() / name;
  std::filesystem::copy(source_folder() / "tests/data/golden" / name, folder, std::filesystem::copy_options::recursive);
  std::ifstream in(folder / "config.json");
  Json config = Json::parse(in);
  config["max_position_embeddings"] = 512;
  config["sliding_window"] = 40;
  std::ofstream(folder / "config.json") << config.dump();
  return folder;
}

}  // namespace

TEST_CASE("32 requests at a time get the bits that each gets alone") {
  struct Shape {
    int n_ranks;
    int n_stages;
    std::uint64_t kv_tokens;
    const char* windowed = nullptr;  // a golden; else the demo model
  };
  // 256 tokens are too few for all of them: some are interrupted and computed again.
  const auto shape = GENERATE(Shape{1, 1, 4096}, Shape{3, 1, 4096}, Shape{3, 2, 4096}, Shape{2, 1, 256}, Shape{1, 1, 8192, "gpt_oss"},
                              Shape{3, 2, 8192, "gemma2"}, Shape{2, 1, 8192, "mistral"});
  CAPTURE(shape.n_ranks, shape.n_stages, shape.kv_tokens);
  cli::LaunchOptions options;
  options.model = shape.windowed == nullptr ? demo_model().string() : windowed_model(shape.windowed).string();
  options.cache = scratch_folder().string();
  options.n_ranks = shape.n_ranks;
  options.n_stages = shape.n_stages;
  options.ranks_as = cli::RanksAs::kThreads;
  options.kv_tokens = shape.kv_tokens;
  options.context_tokens = 256;
  options.max_step_tokens = 48;
  options.threads = 1;
  auto launched = cli::launch_job(options);
  if (!launched.ok()) FAIL(launched.error().message);
  cli::RunningJob& job = **launched;
  if (const Status ready = job.wait_ready(); !ready.ok()) FAIL(ready.error().message);

  const auto requests = mixed_requests(32, job.model().manifest.config.vocab_size, 256);
  std::vector<std::shared_ptr<Pending>> pending;
  for (std::size_t i = 0; i < requests.size(); ++i)
    pending.push_back(submit(job.generator(), requests[i], i % 5 == 3 ? 1 + static_cast<int>(i) / 2 : -1));
  std::vector<Answer> together;
  for (const auto& one : pending) together.push_back(wait(*one));
  const ServiceCounters counters = job.service().counters();
  CHECK(counters.pages_used == 0);
  CHECK(counters.running + counters.waiting == 0);
  if (shape.kv_tokens == 256) CHECK(counters.preemptions > 0);
  // Four windows of at most 3 pages, and a step of 48 tokens with 4: the 256 pages of full contexts hold far more sequences.
  CHECK(counters.window_pages_total == (shape.windowed == nullptr ? 0 : 4 * 3 + 4));
  CHECK(counters.window_pages_used == 0);
  WARN(counters.steps << " steps, " << counters.preemptions << " interruptions, " << counters.reused_tokens
                      << " tokens reused, " << counters.coordinator_us / static_cast<double>(counters.steps)
                      << " us of coordination a step");

  int n_cancelled = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    CAPTURE(i);
    const Answer alone = wait(*submit(job.generator(), requests[i]));
    REQUIRE(alone.reason == FinishReason::kLength);
    if (together[i].reason == FinishReason::kCancelled) {
      ++n_cancelled;
      REQUIRE(together[i].tokens.size() <= alone.tokens.size());
      REQUIRE(std::equal(together[i].tokens.begin(), together[i].tokens.end(), alone.tokens.begin()));
      REQUIRE(std::equal(together[i].logprobs.begin(), together[i].logprobs.end(), alone.logprobs.begin()));
    } else {
      REQUIRE(together[i].error == "");
      REQUIRE(together[i].reason == FinishReason::kLength);
      REQUIRE(together[i].tokens == alone.tokens);
      REQUIRE(together[i].logprobs == alone.logprobs);
    }
  }
  CHECK(n_cancelled > 0);
  CHECK(job.service().counters().pages_used == 0);
  job.stop();
}

TEST_CASE("what cannot be launched says why in one line") {
  cli::LaunchOptions options;
  options.model = demo_model().string();
  options.ranks_as = cli::RanksAs::kThreads;
  const auto refusal = [&] {
    const auto job = cli::launch_job(options);
    return job.ok() ? std::string("it runs") : job.error().message;
  };
  SECTION("more stages than ranks") {
    options.n_ranks = 1;
    options.n_stages = 2;
    CHECK_THAT(refusal(), Catch::Contains("stages"));
  }
  SECTION("a context beyond the model's") {
    options.context_tokens = 1 << 20;
    CHECK_THAT(refusal(), Catch::Contains("--context: expected at most") && Catch::Contains("found 1048576"));
  }
  SECTION("a context beyond the KV cache") {
    options.context_tokens = 1024;
    options.kv_tokens = 512;
    CHECK(refusal() == "--context: expected at most 512, the KV cache, found 1024");
  }
  SECTION("a KV cache beyond the memory") {
    options.kv_tokens = 1000000000;
    CHECK_THAT(refusal(), Catch::Contains("GiB"));
  }
  SECTION("no such model") {
    options.model = "/nowhere";
    CHECK_THAT(refusal(), Catch::Contains("/nowhere"));
  }
  SECTION("an unknown instruction set") {
    options.isa = "mmx";
    CHECK_THAT(refusal(), Catch::Contains("mmx"));
  }
}

}  // namespace colonnade::tests
