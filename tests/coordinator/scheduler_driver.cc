#include "tests/coordinator/scheduler_driver.h"

#include <catch2/catch.hpp>

namespace colonnade::tests {

using namespace coordinator;

SchedulerDriver::SchedulerDriver(const SchedulerLimits& limits)
    : scheduler(limits), model_(limits.n_pages, limits.page_tokens, limits.max_step_tokens, limits.max_step_rows) {
  if (limits.n_window_pages > 0) model_.add_windows(limits.n_window_pages, limits.window_tokens);
}

GenerationId SchedulerDriver::submit(GenerationRequest request) {
  auto outcome = std::make_shared<Outcome>();
  outcome->request = request;
  GenerationCallbacks callbacks;
  callbacks.on_token = [outcome](const TokenEvent& event) {
    REQUIRE_FALSE(outcome->reason.has_value());
    REQUIRE(static_cast<int>(event.top.size()) == outcome->request.n_top);
    outcome->output.push_back(event.token);
  };
  callbacks.on_prompt_token = [outcome](int position, const TokenEvent& event) {
    REQUIRE(position == static_cast<int>(outcome->prompt_logprobs.size()));
    REQUIRE(event.token == outcome->request.prompt[static_cast<std::size_t>(position) + 1]);
    outcome->prompt_logprobs.push_back(event.logprob);
  };
  callbacks.on_prompt_logits = [outcome](int position, std::vector<float> logits) {
    REQUIRE(position == static_cast<int>(outcome->prompt_logits.size()));
    outcome->prompt_logits.push_back(std::move(logits));
  };
  callbacks.on_finish = [this, outcome](FinishReason reason, const Error* error) {
    REQUIRE_FALSE(outcome->reason.has_value());
    REQUIRE((error != nullptr) == (reason == FinishReason::kError));
    outcome->reason = reason;
    outcome->finished_after = n_steps;
    if (error != nullptr) outcome->error = error->message;
  };
  const Status added = scheduler.add(++last_id_, std::move(request), std::move(callbacks));
  if (!added.ok()) FAIL(added.error().message);
  outcomes[last_id_] = outcome;
  return last_id_;
}

void SchedulerDriver::make_steps() {
  while (scheduler.next_step(0.0, step)) {
    results_.push_back(model_.run(step));
    ++n_steps;
    REQUIRE(static_cast<int>(results_.size()) <= scheduler.limits().n_stages);
  }
}

bool SchedulerDriver::apply_one() {
  if (results_.empty()) return false;
  const control::StepResult result = std::move(results_.front());
  results_.pop_front();
  const Status applied = scheduler.apply(result);
  if (!applied.ok()) FAIL(applied.error().message);
  return true;
}

void SchedulerDriver::run_dry(int max_steps) {
  const int end = n_steps + max_steps;
  do {
    make_steps();
    REQUIRE(n_steps <= end);
  } while (apply_one());
  REQUIRE(scheduler.idle());
  REQUIRE(scheduler.pool().used() == 0);
  REQUIRE(scheduler.pool().consistent());
  REQUIRE(scheduler.window_pool().used() == 0);
  REQUIRE(scheduler.window_pool().consistent());
}

void SchedulerDriver::check(const Outcome& outcome) const {
  const auto& request = outcome.request;
  const auto expected = fake_output(request, scheduler.limits().context_tokens);
  REQUIRE(outcome.reason.has_value());
  if (*outcome.reason == FinishReason::kCancelled) {
    REQUIRE(outcome.output.size() <= expected.size());
    REQUIRE(std::equal(outcome.output.begin(), outcome.output.end(), expected.begin()));
    return;
  }
  REQUIRE(outcome.output == expected);
  const auto& stops = request.stop_tokens;
  if (request.constraint) return;  // may have ended by itself
  const bool stopped = !expected.empty() && std::find(stops.begin(), stops.end(), expected.back()) != stops.end();
  REQUIRE(*outcome.reason == (stopped ? FinishReason::kStop : FinishReason::kLength));

  std::vector<float> logprobs;
  std::vector<std::vector<float>> logits;
  std::vector<std::int32_t> seen;
  for (std::size_t i = 0; i < request.prompt.size(); ++i) {
    seen.push_back(request.prompt[i]);
    if (request.prompt_output == PromptOutput::kLogprobs && i + 1 < request.prompt.size())
      logprobs.push_back(fake_logprob(seen, request.prompt[i + 1]));
    if (request.prompt_output != PromptOutput::kFullLogits) continue;
    logits.emplace_back();
    for (int v = 0; v < kFakeVocab; ++v) logits.back().push_back(fake_logprob(seen, v));
  }
  REQUIRE(outcome.prompt_logprobs == logprobs);
  REQUIRE(outcome.prompt_logits == logits);
}

void SchedulerDriver::check_all() const {
  for (const auto& [id, outcome] : outcomes) check(*outcome);
}

}  // namespace colonnade::tests
