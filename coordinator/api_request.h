// A body of /v1/completions or /v1/chat/completions, checked and turned into what will run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/api_backend.h"
#include "coordinator/api_error.h"
#include "coordinator/chat_text.h"
#include "engine/base/json.h"

namespace colonnade::coordinator {

inline constexpr int kMaxStopStrings = 4;   // as OpenAI has it
inline constexpr int kMaxTopLogprobs = 20;  // what the workers can report
/// Of an answer that is not streamed, tokens and alternatives of all choices: about 600 bytes each while it is written.
inline constexpr std::size_t kMaxGatheredLogprobs = std::size_t{1} << 18;
inline constexpr int kMaxChoices = 128;     // prompts × n of one request

struct ApiRequest {
  bool chat = false;
  std::vector<std::vector<std::int32_t>> prompts;
  int n = 1;                      // choices for each prompt
  std::vector<std::string> stop;  // never empty strings
  bool echo = false;
  bool logprobs = false;
  bool stream = false;
  bool include_usage = false;
  std::optional<std::uint64_t> seed;
  std::optional<int> max_tokens;  // none: up to the end of the context
  std::optional<ChatOutput> output;  // none: the answer is its text
  GenerationRequest generation;   // all but prompt, max_tokens and seed
};

/// Fills `request` or says what is wrong with the body, a JSON text.
std::optional<ApiError> read_api_request(std::string_view body, bool chat, const ApiBackend& backend, ApiRequest& request);

}  // namespace colonnade::coordinator
