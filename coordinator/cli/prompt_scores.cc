#include "coordinator/cli/prompt_scores.h"

#include <condition_variable>
#include <mutex>
#include <optional>

namespace colonnade::cli {
namespace {

using coordinator::FinishReason;
using coordinator::GenerationCallbacks;
using coordinator::GenerationRequest;
using coordinator::PromptOutput;

GenerationRequest evaluation(std::span<const std::int32_t> tokens, PromptOutput output) {
  GenerationRequest request;
  request.prompt.assign(tokens.begin(), tokens.end());
  request.max_tokens = 0;
  request.prompt_output = output;
  return request;
}

Error finish_error(FinishReason reason, const Error* error) {
  if (error != nullptr) return *error;
  return {ErrorCode::kCancelled,
          reason == FinishReason::kCancelled ? "the evaluation was cancelled" : "the evaluation ended without a reason"};
}

bool succeeded(FinishReason reason) { return reason == FinishReason::kLength || reason == FinishReason::kStop; }

/// What the waiting thread and the callbacks share.
struct Progress {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t running = 0;
  std::optional<Error> error;
};

}  // namespace

Result<std::vector<float>> prompt_logits(coordinator::Generator& generator, std::span<const std::int32_t> tokens) {
  std::vector<float> logits;
  Progress progress;
  progress.running = 1;
  GenerationCallbacks callbacks;
  callbacks.on_prompt_logits = [&](int, std::vector<float> row) { logits.insert(logits.end(), row.begin(), row.end()); };
  callbacks.on_finish = [&](FinishReason reason, const Error* error) {
    const std::lock_guard lock(progress.mutex);
    if (!succeeded(reason)) progress.error = finish_error(reason, error);
    progress.running = 0;
    progress.changed.notify_all();
  };
  COLONNADE_TRY(generator.submit(evaluation(tokens, PromptOutput::kFullLogits), std::move(callbacks)));
  std::unique_lock lock(progress.mutex);
  progress.changed.wait(lock, [&] { return progress.running == 0; });
  if (progress.error) return *progress.error;
  return logits;
}

Status prompt_logprobs(coordinator::Generator& generator, std::span<const std::vector<std::int32_t>> prompts, int in_flight,
                       const std::function<void(std::size_t, const std::vector<float>&)>& on_done) {
  Progress progress;
  std::vector<std::vector<float>> logprobs(prompts.size());
  const auto wait_until_below = [&](std::size_t limit) {
    std::unique_lock lock(progress.mutex);
    progress.changed.wait(lock, [&] { return progress.running < limit; });
    return !progress.error.has_value();
  };
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    if (!wait_until_below(static_cast<std::size_t>(in_flight))) break;
    GenerationCallbacks callbacks;
    callbacks.on_prompt_token = [&, i](int, const coordinator::TokenEvent& event) { logprobs[i].push_back(event.logprob); };
    callbacks.on_finish = [&, i](FinishReason reason, const Error* error) {
      const std::lock_guard lock(progress.mutex);
      if (succeeded(reason)) {
        on_done(i, logprobs[i]);
      } else if (!progress.error) {
        progress.error = finish_error(reason, error);
      }
      logprobs[i] = {};
      --progress.running;
      progress.changed.notify_all();
    };
    {
      const std::lock_guard lock(progress.mutex);
      ++progress.running;
    }
    if (auto submitted = generator.submit(evaluation(prompts[i], PromptOutput::kLogprobs), std::move(callbacks)); !submitted.ok()) {
      const std::lock_guard lock(progress.mutex);
      if (!progress.error) progress.error = submitted.error();
      --progress.running;
    }
  }
  wait_until_below(1);
  if (progress.error) return *progress.error;
  return {};
}

}  // namespace colonnade::cli
