#include "coordinator/chat_renderer.h"

namespace colonnade::coordinator {
namespace {

/// With a template that a request brought: it sees the model's special tokens.
Result<engine::RenderedChat> render_own(const engine::ChatTemplates& model, const engine::ChatInput& input, const std::string& source) {
  auto own = engine::ChatTemplates::from_text(source, "chat_template");
  // Here it is the request that is wrong, not a file.
  if (!own.ok()) return Error{ErrorCode::kInvalidArgument, own.error().message};
  for (const auto& [name, token] : model.special_tokens()) own->set_special_token(name, token);
  return own->render(input);
}

}  // namespace

ChatRenderer make_chat_renderer(std::shared_ptr<const engine::ChatTemplates> templates, const engine::Tokenizer* tokenizer) {
  if (templates->empty()) return {};
  return [templates = std::move(templates), tokenizer](const engine::ChatInput& input,
                                                       const std::string& own_template) -> Result<RenderedPrompt> {
    auto chat = own_template.empty() ? templates->render(input) : render_own(*templates, input, own_template);
    if (!chat.ok()) return chat.error();
    RenderedPrompt prompt;
    if (tokenizer != nullptr) prompt.tokens = engine::encode_chat(*tokenizer, *chat);
    prompt.text = std::move(chat->text);
    return prompt;
  };
}

std::vector<std::string> template_sources(const engine::ChatTemplates& templates) {
  std::vector<std::string> sources;
  for (const bool with_tools : {false, true}) {
    const std::string* source = templates.source("", with_tools);
    if (source != nullptr && (sources.empty() || sources.front() != *source)) sources.push_back(*source);
  }
  return sources;
}

ChatSettings chat_settings_of(std::shared_ptr<const engine::ChatTemplates> templates, const engine::Tokenizer& tokenizer) {
  if (templates->empty()) return {};
  const std::vector<std::string> sources = template_sources(*templates);
  return detect_chat_settings(make_chat_renderer(std::move(templates), &tokenizer), sources, tokenizer);
}

}  // namespace colonnade::coordinator
