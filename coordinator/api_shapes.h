// The JSON objects of OpenAI's completions and chat completions, whole and as stream chunks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/choice_text.h"
#include "engine/base/json.h"
#include "engine/text/tokenizer.h"

namespace colonnade::coordinator {

struct Usage {
  std::size_t prompt_tokens = 0;
  std::size_t completion_tokens = 0;
  std::optional<std::size_t> reasoning_tokens;  // of them; none where reasoning is not told apart
};

/// What all objects of one answer share.
struct AnswerShape {
  const engine::Tokenizer* tokenizer = nullptr;
  bool chat = false;
  bool logprobs = false;
  bool alternatives = false;  // n_top > 0
  bool null_usage = false;    // stream_options.include_usage: "usage": null in all chunks but the last
  std::string id;             // "chatcmpl-…", "cmpl-…"
  std::int64_t created = 0;
  std::string model;

  /// A finished choice of an answer that is not streamed.
  Json choice(int index, const ChoiceDelta& content, const char* finish_reason) const;
  Json answer(std::vector<Json> choices, const Usage& usage) const;

  /// Stream chunks. finish_reason null while the choice goes on.
  Json role_chunk(int index) const;  // the first of a chat choice
  Json chunk(int index, const ChoiceDelta& content, const char* finish_reason) const;
  Json usage_chunk(const Usage& usage) const;

 private:
  Json envelope(bool stream, Json choices) const;
  Json logprobs_json(const std::vector<ChoiceToken>& tokens) const;
  Json chat_logprobs(const std::vector<ChoiceToken>& tokens) const;
  Json completion_logprobs(const std::vector<ChoiceToken>& tokens) const;
};

}  // namespace colonnade::coordinator
