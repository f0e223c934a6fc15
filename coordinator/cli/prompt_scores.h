// Evaluating prompts without generating: for logits and perplexity. Goes through the scheduler and the control link
// like every request.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "coordinator/generator.h"
#include "engine/base/result.h"

namespace colonnade::cli {

/// Logits at every position of `tokens`: (n_tokens, vocab_size). Waits.
Result<std::vector<float>> prompt_logits(coordinator::Generator& generator, std::span<const std::int32_t> tokens);

/// For every prompt the log-probabilities of its tokens from the second on. At most `in_flight` prompts run at a time;
/// `on_done` is called after each with its index and log-probabilities, one call at a time. Waits for all; the first
/// error ends it.
Status prompt_logprobs(coordinator::Generator& generator, std::span<const std::vector<std::int32_t>> prompts, int in_flight,
                       const std::function<void(std::size_t, const std::vector<float>&)>& on_done);

}  // namespace colonnade::cli
