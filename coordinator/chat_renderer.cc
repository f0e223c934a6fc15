#include "coordinator/chat_renderer.h"

namespace colonnade::coordinator {

ChatSettings chat_settings_of(std::shared_ptr<const engine::ChatTemplates> templates, const engine::Tokenizer& tokenizer) {
  if (templates->empty()) return {};
  std::vector<std::string> sources;
  for (const bool with_tools : {false, true}) {
    if (const std::string* source = templates->source("", with_tools)) sources.push_back(*source);
  }
  const auto render = [templates, &tokenizer](const engine::ChatInput& input, const std::string& own) -> Result<RenderedPrompt> {
    Result<engine::RenderedChat> rendered = [&]() -> Result<engine::RenderedChat> {
      if (own.empty()) return templates->render(input);
      COLONNADE_ASSIGN(engine::ChatTemplates parsed, engine::ChatTemplates::from_text(own, "chat_template"));
      for (const auto& [name, token] : templates->special_tokens()) parsed.set_special_token(name, token);
      return parsed.render(input);
    }();
    if (!rendered.ok()) return rendered.error();
    return RenderedPrompt{rendered->text, engine::encode_chat(tokenizer, *rendered)};
  };
  return detect_chat_settings(render, sources, tokenizer);
}

}  // namespace colonnade::coordinator
