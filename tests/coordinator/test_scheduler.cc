#include <algorithm>
#include <random>

#include <catch2/catch.hpp>

#include "engine/base/page_window.h"
#include "tests/coordinator/scheduler_driver.h"

namespace colonnade::tests {
namespace {

using namespace coordinator;

SchedulerLimits small_limits() {
  SchedulerLimits limits;
  limits.n_pages = 16;
  limits.page_tokens = 4;
  limits.context_tokens = 64;
  limits.vocab_size = kFakeVocab;
  limits.max_step_tokens = 8;
  limits.max_step_rows = 6;
  limits.max_full_rows = 2;
  limits.max_running = 6;
  limits.hash_seed = 5;
  return limits;
}

GenerationRequest plain_request(int n_prompt, int max_tokens, int first = 1) {
  GenerationRequest request;
  for (int i = 0; i < n_prompt; ++i) request.prompt.push_back((first + i * i) % kFakeVocab);
  request.max_tokens = max_tokens;
  return request;
}

GenerationRequest random_request(std::mt19937& random, int context) {
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  // Few different beginnings, so that prefixes are shared.
  GenerationRequest request = plain_request(1 + below(below(4) == 0 ? context : std::min(20, context)), 0, below(3));
  request.max_tokens = below(5) == 0 ? 0 : 1 + below(30);
  if (static_cast<int>(request.prompt.size()) + 1 > context) request.max_tokens = 0;
  request.seed = random();
  if (below(2) == 0) request.temperature = 0.5f;
  if (below(3) == 0) request.stop_tokens = {static_cast<std::int32_t>(below(kFakeVocab)), 3, 4, 5};
  if (below(3) == 0) request.presence_penalty = 0.5f;
  if (below(3) == 0) request.frequency_penalty = 0.25f;
  if (below(4) == 0) request.repetition_penalty = 1.25f;
  if (below(4) == 0) request.logit_bias = {{below(kFakeVocab), 1.5f}, {7, -2.0f}};
  request.n_top = below(3);
  request.prompt_output = static_cast<PromptOutput>(below(4) == 0 ? 1 + below(2) : 0);
  return request;
}

}  // namespace

TEST_CASE("one request alone takes one step a chunk and one a token") {
  SchedulerDriver driver(small_limits());
  const auto id = driver.submit(plain_request(17, 5));
  driver.run_dry();
  driver.check_all();
  CHECK(driver.outcomes[id]->output.size() == 5);
  CHECK(driver.n_steps == 3 + 4);  // 8 + 8 + 1 tokens, the last with the first answer
}

TEST_CASE("an encoder gets whole prompts, as many as fit into a step, and answers with vectors") {
  SchedulerLimits limits = small_limits();
  limits.vector_dim = 2;
  Scheduler scheduler(limits);
  CHECK(scheduler.limits().context_tokens == 8);  // a step
  std::map<GenerationId, std::vector<float>> vectors;
  int n_finished = 0;
  const auto submit = [&](GenerationId id, int n_tokens) {
    GenerationRequest request = plain_request(n_tokens, 0);
    request.prompt_output = PromptOutput::kVector;
    GenerationCallbacks callbacks;
    callbacks.on_prompt_logits = [&vectors, id](int, std::vector<float> vector) { vectors[id] = std::move(vector); };
    callbacks.on_finish = [&n_finished](FinishReason, const Error*) { ++n_finished; };
    return scheduler.add(id, std::move(request), std::move(callbacks));
  };
  CHECK_FALSE(submit(1, 9).ok());
  for (const auto& [id, n_tokens] : std::map<GenerationId, int>{{2, 5}, {3, 4}, {4, 3}, {5, 1}, {6, 8}}) REQUIRE(submit(id, n_tokens).ok());
  std::vector<std::vector<int>> steps;
  control::Step step;
  while (scheduler.next_step(0, step)) {
    std::vector<int> lengths;
    control::StepResult result;
    result.set_id(step.id());
    REQUIRE(step.rows_size() == step.sequences_size());
    for (int s = 0; s < step.sequences_size(); ++s) {
      CHECK(step.sequences(s).first_position() == 0);
      CHECK(step.rows(s).flags() == 4);
      lengths.push_back(step.sequences(s).tokens_size());
      const float vector[] = {static_cast<float>(lengths.back()), 1.0f};
      result.add_rows()->set_logits(vector, sizeof vector);
    }
    steps.push_back(lengths);
    REQUIRE(scheduler.apply(result).ok());
  }
  CHECK(steps == std::vector<std::vector<int>>{{5, 3}, {4, 1}, {8}});
  CHECK(n_finished == 5);
  CHECK(vectors[3] == std::vector<float>{4.0f, 1.0f});
  CHECK(scheduler.pool().available() == limits.n_pages);
  CHECK_FALSE(Scheduler::validate(plain_request(3, 5), limits).ok());
  GenerationRequest vector = plain_request(3, 0);
  vector.prompt_output = PromptOutput::kVector;
  CHECK_FALSE(Scheduler::validate(vector, small_limits()).ok());
}

TEST_CASE("decoding goes on while a long prompt is read") {
  SchedulerDriver driver(small_limits());
  const auto small = driver.submit(plain_request(2, 6));
  driver.make_steps();
  driver.apply_one();
  const auto large = driver.submit(plain_request(50, 1));
  driver.run_dry();
  driver.check_all();
  CHECK(driver.outcomes[small]->finished_after == 6);
  CHECK(driver.outcomes[large]->finished_after == 1 + 7);  // 5 steps of 7 tokens, 15 tokens in steps of 8
}

TEST_CASE("random requests get what they would get alone") {
  const int n_stages = GENERATE(1, 2, 3);
  const bool reuse = GENERATE(false, true);
  const bool windows = GENERATE(false, true);
  std::mt19937 random(static_cast<unsigned>(n_stages * 2 + (reuse ? 1 : 0)));
  std::uint64_t preemptions = 0;
  std::uint64_t reused = 0;
  for (int round = 0; round < 60; ++round) {
    SchedulerLimits limits = small_limits();
    limits.n_stages = n_stages;
    limits.prefix_reuse = reuse;
    limits.n_pages = 4 + static_cast<int>(random() % 20);
    limits.page_tokens = 1 + static_cast<int>(random() % 5);
    limits.max_step_tokens = 1 + static_cast<int>(random() % 12);
    limits.max_step_rows = 1 + static_cast<int>(random() % 8);
    limits.max_full_rows = 1 + static_cast<int>(random() % 2);
    limits.max_running = 1 + static_cast<int>(random() % static_cast<unsigned>(limits.max_step_rows));
    if (windows) {
      limits.window_tokens = 1 + static_cast<int>(random() % 12);
      limits.n_window_pages = window_step_pages(limits.max_step_tokens, limits.window_tokens, limits.page_tokens) +
                              static_cast<int>(random() % 12);
    }
    SchedulerDriver driver(limits);
    const int context = driver.scheduler.limits().context_tokens;
    const int n_requests = 1 + static_cast<int>(random() % 30);
    for (int i = 0; i < n_requests;) {
      switch (random() % 4) {
        case 0:
          driver.submit(random_request(random, context));
          ++i;
          break;
        case 1:
          if (random() % 4 == 0 && i > 0) driver.scheduler.cancel(1 + random() % static_cast<unsigned>(i));
          break;
        default:
          driver.make_steps();
          driver.apply_one();
      }
      REQUIRE(driver.scheduler.pool().consistent());
      REQUIRE(driver.scheduler.window_pool().consistent());
    }
    driver.run_dry();
    driver.check_all();
    preemptions += driver.scheduler.counts().preemptions;
    reused += driver.scheduler.counts().reused_tokens;
  }
  CHECK(preemptions > 0);  // else the test shows less than it says
  CHECK((reused > 0) == reuse);
}

TEST_CASE("where the only one that was chosen gives its pages back, the others go on") {
  for (int delay = 0; delay < 14; ++delay) {
    SchedulerLimits limits = small_limits();
    limits.n_pages = 8;
    limits.page_tokens = 2;
    limits.max_step_tokens = 1;
    SchedulerDriver driver(limits);
    driver.submit(plain_request(5, 28));
    for (int step = 0; step < delay; ++step) {
      driver.make_steps();
      driver.apply_one();
    }
    driver.submit(plain_request(1, 13));
    CAPTURE(delay);
    driver.run_dry();
    driver.check_all();
  }
}

TEST_CASE("a huge request is not starved by small ones, nor do they wait for it at once") {
  SchedulerLimits limits = small_limits();
  limits.n_pages = 12;
  limits.context_tokens = 48;
  SchedulerDriver driver(limits);
  // Two small ones at a time keep the pool too full for a prompt of 10 pages.
  const auto start = [&] { return driver.submit(plain_request(4, 6, static_cast<int>(driver.outcomes.size()))); };
  start();
  start();
  driver.make_steps();
  driver.apply_one();
  const auto huge = driver.submit(plain_request(40, 3));
  std::vector<GenerationId> later;
  for (int i = 0; i < 300; ++i) {
    if (driver.scheduler.n_running() + driver.scheduler.n_waiting() < 6) later.push_back(start());
    driver.make_steps();
    driver.apply_one();
  }
  REQUIRE(driver.outcomes[huge]->reason.has_value());
  CHECK(driver.outcomes[huge]->finished_after < 100);
  int before = 0;
  for (const auto id : later) {
    const auto& outcome = *driver.outcomes[id];
    if (outcome.reason && outcome.finished_after < driver.outcomes[huge]->finished_after) ++before;
  }
  CHECK(before > 0);
  CHECK(before <= kMaxOvertakes + limits.max_running);
  driver.run_dry();
  driver.check_all();
}

TEST_CASE("equal beginnings are computed once, and cost no pages that others need") {
  SchedulerDriver driver(small_limits());
  driver.submit(plain_request(21, 2));
  driver.run_dry();
  CHECK(driver.scheduler.counts().prompt_tokens == 21);
  CHECK(driver.scheduler.pool().cached() == 5);
  driver.submit(plain_request(21, 2));
  driver.run_dry();
  CHECK(driver.scheduler.counts().prompt_tokens == 22);
  CHECK(driver.scheduler.counts().reused_tokens == 20);
  driver.submit(plain_request(61, 2, 50));  // takes every page
  driver.run_dry();
  driver.check_all();
}

TEST_CASE("several stages have as many steps in flight") {
  SchedulerLimits limits = small_limits();
  limits.n_stages = 3;
  SchedulerDriver driver(limits);
  driver.submit(plain_request(30, 1));
  driver.make_steps();
  CHECK(driver.scheduler.n_in_flight() == 3);  // three chunks of one prompt
  driver.run_dry();
  for (int i = 0; i < 6; ++i) driver.submit(plain_request(1, 10, i));
  driver.make_steps();
  CHECK(driver.scheduler.n_in_flight() == 3);  // disjoint groups
  CHECK(driver.step.sequences_size() == 2);
  driver.run_dry();
  driver.check_all();
}

TEST_CASE("a lost job ends what had begun and keeps what waits") {
  SchedulerDriver driver(small_limits());
  const auto begun = driver.submit(plain_request(60, 2));
  driver.make_steps();
  const auto waiting = driver.submit(plain_request(60, 2, 9));
  driver.make_steps();
  driver.scheduler.job_lost({ErrorCode::kUnavailable, "gone"});
  CHECK(driver.outcomes[begun]->reason == FinishReason::kError);
  CHECK(driver.outcomes[begun]->error == "gone");
  CHECK_FALSE(driver.outcomes[waiting]->reason.has_value());
  CHECK(driver.scheduler.pool().used() == 0);

  SECTION("for a job of the same size") {
    SchedulerDriver second(small_limits());
    driver.scheduler.restart(small_limits());
    REQUIRE(driver.scheduler.next_step(0.0, driver.step));
    CHECK(driver.step.sequences(0).tokens_size() == 8);
  }
  SECTION("for a job that cannot hold it") {
    SchedulerLimits smaller = small_limits();
    smaller.n_pages = 10;
    driver.scheduler.restart(smaller);
    CHECK(driver.outcomes[waiting]->reason == FinishReason::kError);
    CHECK(driver.outcomes[waiting]->error == "the prompt has 60 tokens, the context is 40 tokens (all KV pages together)");
  }
}

TEST_CASE("requests that can never run are refused with the numbers") {
  const SchedulerLimits limits = small_limits();
  const auto refusal = [&](const GenerationRequest& request) {
    const Status status = Scheduler::validate(request, limits);
    return status.ok() ? std::string() : status.error().message;
  };
  CHECK(refusal(plain_request(63, 1)).empty());
  CHECK(refusal(plain_request(64, 0)).empty());
  CHECK(refusal(plain_request(0, 1)) == "the prompt has no tokens");
  CHECK(refusal(plain_request(65, 1)) == "the prompt has 65 tokens, the context is 64 tokens (all KV pages together)");
  CHECK(refusal(plain_request(64, 1)) ==
        "the prompt has 64 tokens and leaves no room to generate in a context of 64 tokens (all KV pages together)");
  GenerationRequest request = plain_request(3, 1);
  request.prompt[1] = kFakeVocab;
  CHECK(refusal(request) == "prompt token 97 at position 1 is not in the vocabulary of 97 tokens");
  request = plain_request(3, 1);
  request.top_p = -0.5f;
  CHECK(refusal(request) == "top_p must be from 0 to 1, found -0.5");
  request = plain_request(3, 1);
  request.repetition_penalty = 1e-40f;
  CHECK_FALSE(refusal(request).empty());
  request = plain_request(3, 1);
  request.n_top = 21;
  CHECK(refusal(request) == "alternatives for a token must be from 0 to 20, found 21");
  request = plain_request(3, 1);
  request.logit_bias = {{-1, 1.0f}};
  CHECK(refusal(request) == "logit_bias token -1 is not in the vocabulary of 97 tokens");
  request.logit_bias.assign(1024, {1, 1.0f});
  CHECK(refusal(request).empty());
  request.logit_bias.assign(1025, {1, 1.0f});
  CHECK(refusal(request) == "logit_bias must have at most 1024 entries, found 1025");
}

TEST_CASE("logit edits of a step are bounded, and every row gets its turn") {
  SchedulerLimits limits = small_limits();
  limits.max_step_edits = GENERATE(1, 12, 25);  // less than one row has, than two have, than three have
  SchedulerDriver driver(limits);
  for (int i = 0; i < 5; ++i) {
    GenerationRequest request = plain_request(2, 8, 1 + i);
    for (std::int32_t token = 0; token < 10; ++token) request.logit_bias.push_back({token, 1.0f});
    driver.submit(std::move(request));
  }
  driver.submit(plain_request(2, 8, 20));  // without edits
  while (!driver.scheduler.idle()) {
    driver.make_steps();
    int n_edits = 0;
    int n_rows = 0;
    for (const control::StepRow& row : driver.step.rows()) {
      n_edits += row.edits_size();
      n_rows += row.edits_size() > 0 ? 1 : 0;
    }
    CHECK((n_edits <= limits.max_step_edits || n_rows == 1));
    REQUIRE(driver.apply_one());
  }
  driver.check_all();
  int first = driver.n_steps, last = 0;
  for (const auto& [id, outcome] : driver.outcomes) {
    if (outcome->request.logit_bias.empty()) {
      CHECK(outcome->finished_after < driver.n_steps / 2 + 5);
      continue;
    }
    first = std::min(first, outcome->finished_after);
    last = std::max(last, outcome->finished_after);
  }
  CHECK(last - first <= 8);  // in turn, not one after the other
}

TEST_CASE("results that do not belong are refused") {
  SchedulerDriver driver(small_limits());
  driver.submit(plain_request(3, 2));
  control::Step step;
  REQUIRE(driver.scheduler.next_step(0.0, step));
  control::StepResult result;
  result.set_id(step.id() + 1);
  CHECK(driver.scheduler.apply(result).error().message == "expected the result of step 1, found 2");
  result.set_id(step.id());
  CHECK(driver.scheduler.apply(result).error().message == "expected 1 rows in the result of step 1, found 0");
}

}  // namespace colonnade::tests
