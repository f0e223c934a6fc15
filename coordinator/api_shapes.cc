#include "coordinator/api_shapes.h"

#include <algorithm>
#include <utility>

namespace colonnade::coordinator {
namespace {

/// JSON has no infinity; OpenAI writes this for tokens that cannot come.
float finite(float logprob) { return std::max(logprob, -9999.0f); }

Json token_json(const engine::Tokenizer& tokenizer, std::int32_t token, std::optional<float> logprob) {
  const std::string bytes = token_bytes(tokenizer, token);
  Json list = Json::array();
  for (const char byte : bytes) list.push_back(static_cast<unsigned char>(byte));
  return {{"token", printable_token(bytes)},
          {"logprob", logprob ? Json(finite(*logprob)) : Json(nullptr)},
          {"bytes", std::move(list)}};
}

Json finish_json(const char* reason) { return reason == nullptr ? Json(nullptr) : Json(reason); }

Json usage_json(const Usage& usage) {
  Json json = {{"prompt_tokens", usage.prompt_tokens},
               {"completion_tokens", usage.completion_tokens},
               {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
  if (usage.reasoning_tokens) json["completion_tokens_details"] = {{"reasoning_tokens", *usage.reasoning_tokens}};
  return json;
}

/// Calls of a whole message; in a stream what has no id goes on with a call that has begun.
Json calls_json(const std::vector<CallDelta>& calls, bool stream) {
  Json list = Json::array();
  for (const CallDelta& call : calls) {
    Json one = {{"function", {{"arguments", call.arguments}}}};
    if (stream) one["index"] = call.index;
    if (!call.id.empty()) {
      one["id"] = call.id;
      one["type"] = "function";
      one["function"]["name"] = call.name;
    }
    list.push_back(std::move(one));
  }
  return list;
}

Json message_json(const ChoiceDelta& content) {
  Json message = {{"role", "assistant"}, {"content", content.text}, {"refusal", nullptr}};
  if (!content.reasoning.empty()) message["reasoning_content"] = content.reasoning;
  if (content.calls.empty()) return message;
  message["tool_calls"] = calls_json(content.calls, false);
  if (content.text.empty()) message["content"] = nullptr;
  return message;
}

Json delta_json(const ChoiceDelta& content, bool has_tokens) {
  Json delta = Json::object();
  if (!content.reasoning.empty()) delta["reasoning_content"] = content.reasoning;
  if (!content.calls.empty()) delta["tool_calls"] = calls_json(content.calls, true);
  if (!content.text.empty() || (has_tokens && delta.empty())) delta["content"] = content.text;
  return delta;
}

}  // namespace

Json AnswerShape::chat_logprobs(const std::vector<ChoiceToken>& tokens) const {
  Json content = Json::array();
  for (const ChoiceToken& token : tokens) {
    Json entry = token_json(*tokenizer, token.token, token.logprob);
    Json& top = entry["top_logprobs"] = Json::array();
    for (const Alternative& one : token.top) top.push_back(token_json(*tokenizer, one.token, one.logprob));
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

Json AnswerShape::completion_logprobs(const std::vector<ChoiceToken>& tokens) const {
  Json names = Json::array(), values = Json::array(), tops = Json::array(), offsets = Json::array();
  for (const ChoiceToken& token : tokens) {
    const std::string name = printable_token(token_bytes(*tokenizer, token.token));
    names.push_back(name);
    values.push_back(token.logprob ? Json(finite(*token.logprob)) : Json(nullptr));
    offsets.push_back(token.offset);
    Json top = token.logprob ? Json::object() : Json(nullptr);
    for (const Alternative& one : token.top) {
      // Two tokens may be spelled alike; the likelier comes first and stays.
      top.emplace(printable_token(token_bytes(*tokenizer, one.token)), finite(one.logprob));
    }
    if (token.logprob) top.emplace(name, finite(*token.logprob));
    tops.push_back(std::move(top));
  }
  return {{"tokens", std::move(names)},
          {"token_logprobs", std::move(values)},
          {"top_logprobs", alternatives ? std::move(tops) : Json(nullptr)},
          {"text_offset", std::move(offsets)}};
}

Json AnswerShape::logprobs_json(const std::vector<ChoiceToken>& tokens) const {
  if (!logprobs) return nullptr;
  return chat ? chat_logprobs(tokens) : completion_logprobs(tokens);
}

Json AnswerShape::envelope(bool stream, Json choices) const {
  const char* object = !chat ? "text_completion" : stream ? "chat.completion.chunk" : "chat.completion";
  return {{"id", id}, {"object", object}, {"created", created}, {"model", model}, {"choices", std::move(choices)}};
}

Json AnswerShape::choice(int index, const ChoiceDelta& content, const char* finish_reason) const {
  Json choice = {{"index", index}, {"logprobs", logprobs_json(content.tokens)}, {"finish_reason", finish_reason}};
  if (chat) {
    choice["message"] = message_json(content);
  } else {
    choice["text"] = content.text;
  }
  return choice;
}

Json AnswerShape::answer(std::vector<Json> choices, const Usage& usage) const {
  Json answer = envelope(false, Json(std::move(choices)));
  answer["usage"] = usage_json(usage);
  return answer;
}

Json AnswerShape::role_chunk(int index) const {
  Json chunk = envelope(true, Json::array({{{"index", index},
                                            {"delta", {{"role", "assistant"}, {"content", ""}}},
                                            {"logprobs", nullptr},
                                            {"finish_reason", nullptr}}}));
  if (null_usage) chunk["usage"] = nullptr;
  return chunk;
}

Json AnswerShape::chunk(int index, const ChoiceDelta& content, const char* finish_reason) const {
  const bool has_tokens = logprobs && !content.tokens.empty();
  Json choice = {{"index", index},
                 {"logprobs", has_tokens ? logprobs_json(content.tokens) : Json(nullptr)},
                 {"finish_reason", finish_json(finish_reason)}};
  if (chat) {
    choice["delta"] = delta_json(content, has_tokens);
  } else {
    choice["text"] = content.text;
  }
  Json chunk = envelope(true, Json::array({std::move(choice)}));
  if (null_usage) chunk["usage"] = nullptr;
  return chunk;
}

Json AnswerShape::usage_chunk(const Usage& usage) const {
  Json chunk = envelope(true, Json::array());
  chunk["usage"] = usage_json(usage);
  return chunk;
}

}  // namespace colonnade::coordinator
