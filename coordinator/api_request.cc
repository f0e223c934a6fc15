#include "coordinator/api_request.h"

#include <charconv>

#include "coordinator/call_constraint.h"
#include "coordinator/chat_prompt.h"
#include "coordinator/constraint_fields.h"
#include "coordinator/prompt_fields.h"
#include "coordinator/request_fields.h"
#include "engine/base/format_text.h"

namespace colonnade::coordinator {
namespace {

/// Fields that would change the answer and that nothing here implements: any value but those that ask for nothing.
void refuse_unsupported(RequestFields& fields, const Json& body, bool chat) {
  for (const char* name :
       {"tools", "tool_choice", "functions", "function_call", "audio", "web_search_options", "suffix", "guided_json",
        "guided_regex", "guided_choice", "guided_grammar", "json_schema", "use_beam_search"}) {
    const Json* value = fields.find(name);
    if (chat && (name == std::string_view("tools") || name == std::string_view("tool_choice"))) continue;
    if (value == nullptr || *value == false || *value == "" || *value == "none" || *value == "auto") continue;
    if (value->is_structured() && value->empty()) continue;
    fields.fail(name, text(name, " is not supported"), "unsupported_parameter");
  }
  if (const Json* modalities = fields.find("modalities"); modalities != nullptr && *modalities != Json::array({"text"})) {
    fields.wrong("modalities", "[\"text\"]", *modalities);
  }
  const int n = body.contains("n") && body["n"].is_number_integer() ? body["n"].get<int>() : 1;
  if (const Json* best_of = fields.find("best_of"); best_of != nullptr && *best_of != n) {
    fields.fail("best_of", text("best_of must be equal to n, found ", dump_json(*best_of), ": choosing the best of more is not supported"),
                "unsupported_parameter");
  }
}

void read_stop(RequestFields& fields, std::vector<std::string>& stop) {
  const Json* value = fields.find("stop");
  if (value == nullptr) return;
  constexpr const char* kExpected = "a string or a list of up to 4 strings, none of them empty";
  const Json list = value->is_array() ? *value : Json::array({*value});
  if (list.size() > kMaxStopStrings) return fields.wrong("stop", kExpected, *value);
  for (const Json& one : list) {
    if (!one.is_string() || one.get_ref<const std::string&>().empty()) return fields.wrong("stop", kExpected, *value);
    stop.push_back(one.get<std::string>());
  }
}

void read_logit_bias(RequestFields& fields, int vocab_size, GenerationRequest& generation) {
  const Json* value = fields.find("logit_bias");
  if (value == nullptr) return;
  if (!value->is_object()) return fields.wrong("logit_bias", "an object of token ids and numbers", *value);
  if (value->size() > kMaxLogitBias) {
    return fields.fail("logit_bias", text("logit_bias must have at most ", kMaxLogitBias, " entries, found ", value->size()));
  }
  for (const auto& [key, bias] : value->items()) {
    std::int32_t token = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token);
    if (error != std::errc() || end != key.data() + key.size() || token < 0 || token >= vocab_size) {
      return fields.fail("logit_bias", text("logit_bias must have token ids from 0 to ", vocab_size - 1, " as keys, found \"",
                                            key.substr(0, 40), "\""));
    }
    if (!bias.is_number() || bias.get<double>() < -100 || bias.get<double>() > 100) {
      return fields.wrong("logit_bias", "an object of numbers from -100 to 100", bias);
    }
    generation.logit_bias.emplace_back(token, bias.get<float>());
  }
}

/// The two forms: a flag and a count (chat), or a count alone (completions).
void read_logprobs(RequestFields& fields, bool chat, ApiRequest& request) {
  if (chat) {
    fields.read("logprobs", request.logprobs);
    fields.read("top_logprobs", request.generation.n_top, 0, kMaxTopLogprobs);
    if (request.generation.n_top > 0 && !request.logprobs) {
      fields.fail("top_logprobs", "top_logprobs must go with \"logprobs\": true");
    }
    return;
  }
  std::optional<int> n_top;
  fields.read("logprobs", n_top, 0, kMaxTopLogprobs);
  request.logprobs = n_top.has_value();
  request.generation.n_top = n_top.value_or(0);
}

void read_sampling(RequestFields& fields, const ApiBackend& backend, GenerationRequest& generation) {
  const GenerationDefaults& defaults = backend.defaults;
  generation.temperature = defaults.temperature;
  generation.top_p = defaults.top_p;
  generation.min_p = defaults.min_p;
  generation.top_k = defaults.top_k;
  generation.repetition_penalty = defaults.repetition_penalty;
  fields.read("temperature", generation.temperature, 0, 2);
  fields.read("top_p", generation.top_p, 0, 1);
  fields.read("min_p", generation.min_p, 0, 1);
  fields.read("top_k", generation.top_k, -1, INT32_MAX);
  if (generation.top_k < 0) generation.top_k = 0;  // both mean "all" elsewhere
  fields.read("presence_penalty", generation.presence_penalty, -2, 2);
  fields.read("frequency_penalty", generation.frequency_penalty, -2, 2);
  fields.read("repetition_penalty", generation.repetition_penalty, 0.01, 100);
  read_logit_bias(fields, backend.tokenizer->vocab_size(), generation);
  bool ignore_end = false;
  fields.read("ignore_eos", ignore_end);
  if (!ignore_end) generation.stop_tokens = defaults.end_tokens;
}

void read_lengths(RequestFields& fields, bool chat, ApiRequest& request) {
  const int least = chat ? 1 : 0;
  fields.read("max_tokens", request.max_tokens, least, INT32_MAX);
  fields.read("max_completion_tokens", request.max_tokens, least, INT32_MAX);
  if (!chat && !request.max_tokens) request.max_tokens = 16;  // OpenAI's default for completions
  fields.read("n", request.n, 1, kMaxChoices);
  if (const Json* seed = fields.find("seed")) {
    if (!seed->is_number_integer()) return fields.wrong("seed", "an integer", *seed);
    request.seed = seed->is_number_unsigned() ? seed->get<std::uint64_t>()
                                              : static_cast<std::uint64_t>(seed->get<std::int64_t>());
  }
}

void read_stream(RequestFields& fields, ApiRequest& request) {
  fields.read("stream", request.stream);
  const Json* options = fields.find("stream_options");
  if (options == nullptr) return;
  if (!options->is_object()) return fields.wrong("stream_options", "an object", *options);
  if (!request.stream) return fields.fail("stream_options", "stream_options must go with \"stream\": true");
  const Json& usage = options->value("include_usage", Json(false));
  if (!usage.is_boolean()) return fields.wrong("stream_options", "with include_usage true or false", usage);
  request.include_usage = usage.get<bool>();
}

void check_context(RequestFields& fields, const ApiBackend& backend, const ApiRequest& request) {
  if (request.prompts.size() * static_cast<std::size_t>(request.n) > kMaxChoices) {
    fields.fail("n", text("n times the number of prompts must be at most ", kMaxChoices, ", found ", request.n, " × ",
                          request.prompts.size()));
  }
  const int room = request.max_tokens == 0 ? 0 : 1;  // at least one token must fit behind the prompt
  for (const auto& prompt : request.prompts) {
    if (static_cast<std::int64_t>(prompt.size()) + room <= backend.context_tokens) continue;
    fields.fail(request.chat ? "messages" : "prompt",
                text("the prompt must be at most ", backend.context_tokens - room, " tokens (this model's context is ",
                     backend.context_tokens, " tokens), found ", prompt.size()),
                "context_length_exceeded");
  }
}

void read_chat(RequestFields& fields, std::string_view text, const ApiBackend& backend, ApiRequest& request) {
  const Result<OrderedJson> ordered = parse_ordered_json(text, "request body");
  if (!ordered.ok()) return fields.fail("", ordered.error().message);
  const ChatRequest chat = read_chat_request(fields, *ordered, backend);
  if (!fields.ok()) return;
  Result<ChatPrompt> prompt = make_chat_prompt(backend, chat);
  if (!prompt.ok()) return fields.fail("messages", prompt.error().message);
  request.prompts.push_back(std::move(prompt->tokens));
  request.output = std::move(prompt->output);
  if (chat.choice == CallChoice::kRequired) constrain_calls(fields, backend, chat, request);
}

}  // namespace

std::optional<ApiError> read_api_request(std::string_view text, bool chat, const ApiBackend& backend, ApiRequest& request) {
  const Result<Json> parsed = parse_json(text, "request body");
  if (!parsed.ok()) return api_error(parsed.error());
  const Json& body = *parsed;
  if (!body.is_object()) {
    return ApiError{.status = 400, .message = colonnade::text("the request body must be an object, found ", body.type_name())};
  }
  RequestFields fields(body);
  request.chat = chat;
  std::string ignored;
  fields.read("model", ignored);
  fields.read("user", ignored);
  refuse_unsupported(fields, body, chat);
  read_sampling(fields, backend, request.generation);
  read_lengths(fields, chat, request);
  read_stop(fields, request.stop);
  read_logprobs(fields, chat, request);
  read_stream(fields, request);
  if (!chat) fields.read("echo", request.echo);
  if (request.echo && request.logprobs) request.generation.prompt_output = PromptOutput::kLogprobs;
  // The costly part comes last, when everything else is right.
  if (fields.ok() && chat) read_chat(fields, text, backend, request);
  else if (fields.ok()) request.prompts = read_prompts(fields, backend);
  if (fields.ok()) check_context(fields, backend, request);
  if (fields.ok()) read_constraint(fields, text, backend, request);
  if (!fields.ok()) return fields.error();
  return std::nullopt;
}

}  // namespace colonnade::coordinator
