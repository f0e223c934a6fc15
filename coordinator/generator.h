// Generation as the rest of the coordinator sees it: submit a request in tokens, get events. Behind it are the
// scheduler (which decides steps), the page pool and the control link to the worker job.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/token_constraint.h"
#include "engine/base/result.h"

namespace colonnade::coordinator {

enum class PromptOutput {
  kNone,
  kLogprobs,    // log-probability of each prompt token after the first, with n_top alternatives
  kFullLogits,  // all logits at every prompt position
  kVector,      // of an encoder: the vector of the whole prompt
};

/// The largest number of logit_bias entries: each travels with every sample row of every step.
inline constexpr std::size_t kMaxLogitBias = 1024;

struct GenerationRequest {
  std::vector<std::int32_t> prompt;  // at least one token
  std::vector<std::int32_t> token_types;  // for an encoder: of each token; empty: all 0
  int max_tokens = 16;               // 0: only evaluate the prompt
  std::vector<std::int32_t> stop_tokens;  // generation ends with one of these; it is reported, reason "stop"
  float temperature = 0.0f;
  float top_p = 1.0f;
  float min_p = 0.0f;
  int top_k = 0;
  std::uint64_t seed = 0;
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  float repetition_penalty = 1.0f;
  std::vector<std::pair<std::int32_t, float>> logit_bias;  // at most kMaxLogitBias
  int n_top = 0;                     // alternatives to report for each token, at most engine's kMaxTop (20)
  PromptOutput prompt_output = PromptOutput::kNone;
  /// What the generated tokens may be; none: anything. Then a stop token ends the generation only where the text is
  /// complete, and it ends by itself, reason "stop", where nothing can follow.
  std::shared_ptr<const ConstraintSource> constraint;
};

struct Alternative {
  std::int32_t token;
  float logprob;
};

/// One token that was generated (or, for prompt output, evaluated).
struct TokenEvent {
  std::int32_t token = -1;
  float logprob = 0.0f;
  std::vector<Alternative> top;
};

enum class FinishReason { kStop, kLength, kCancelled, kError };

/// Called on the generator's thread, in order; must not block. on_prompt gets prompt positions in order: for
/// kLogprobs TokenEvent of prompt token i + 1 as seen at position i; for kFullLogits the vocab_size logits at
/// position i; for kVector the vector in place of logits, once, at the last position. on_finish is the last call, exactly once.
struct GenerationCallbacks {
  std::function<void(int position, const TokenEvent&)> on_prompt_token;
  std::function<void(int position, std::vector<float> logits)> on_prompt_logits;
  std::function<void(const TokenEvent&)> on_token;
  std::function<void(FinishReason, const Error*)> on_finish;  // error with kError
};

using GenerationId = std::uint64_t;

/// Thread-safe.
class Generator {
 public:
  virtual ~Generator() = default;
  /// Fails at once when the request can never run: empty prompt, prompt longer than the context or than all KV
  /// pages together (kInvalidArgument with the numbers), or while stopping (kUnavailable).
  virtual Result<GenerationId> submit(GenerationRequest request, GenerationCallbacks callbacks) = 0;
  /// The request ends with kCancelled soon; unknown or finished ids are ignored.
  virtual void cancel(GenerationId id) = 0;
};

}  // namespace colonnade::coordinator
