#include "coordinator/chat_prompt.h"

#include "engine/base/format_text.h"
#include "engine/text/chat.h"

namespace colonnade::coordinator {
namespace {

std::vector<std::int32_t> plain_prompt(const ApiBackend& backend, const ChatRequest& chat) {
  std::vector<engine::ChatMessage> messages;
  for (const OrderedJson& one : chat.input.messages) messages.push_back({one.at("role"), one.at("content")});
  return backend.tokenizer->encode(engine::plain_chat_prompt(messages), engine::SpecialTokens::kPlain, true);
}

/// The words of the last message, which the model goes on with.
std::string last_words(const OrderedJson& messages) {
  const OrderedJson& content = messages.back().at("content");
  if (content.is_string()) return content.get<std::string>();
  std::string words;
  for (const OrderedJson& part : content) words += part.at("text").get_ref<const std::string&>();
  return words;
}

std::optional<ChatOutput> make_output(const ApiBackend& backend, const ChatRequest& chat, const std::string& prompt) {
  using Start = engine::OutputOptions::Start;
  ChatOutput output{.format = backend.chat.format, .options = {}, .parallel_calls = chat.parallel_calls};
  output.options.parse_calls = chat.choice != CallChoice::kNone;
  const bool plain_calls = output.format.tools == "none" || (!output.options.parse_calls && output.format.tools != "harmony");
  if (plain_calls && output.format.reasoning == "none") return std::nullopt;
  output.options.tools = chat.tools;
  if (chat.input.continue_final_message) {
    const bool open = engine::leaves_reasoning_open(output.format.reasoning, last_words(chat.input.messages));
    output.options.start = open ? Start::kReasoning : Start::kContent;
  } else if (engine::opens_reasoning(output.format.reasoning, prompt)) {
    output.options.start = Start::kReasoning;
  }
  return output;
}

}  // namespace

Result<ChatPrompt> make_chat_prompt(const ApiBackend& backend, const ChatRequest& chat) {
  ChatPrompt prompt;
  if (backend.chat.render) {
    COLONNADE_ASSIGN(RenderedPrompt rendered, backend.chat.render(chat.input, chat.chat_template));
    prompt.tokens = std::move(rendered.tokens);
    prompt.output = make_output(backend, chat, rendered.text);
  } else {
    prompt.tokens = plain_prompt(backend, chat);
    prompt.output = make_output(backend, chat, {});
  }
  if (prompt.tokens.empty()) return Error{ErrorCode::kInvalidArgument, "messages must have at least one token of content, found none"};
  return prompt;
}

}  // namespace colonnade::coordinator
