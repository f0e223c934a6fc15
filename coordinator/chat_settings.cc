#include "coordinator/chat_settings.h"

#include "engine/base/format_text.h"

namespace colonnade::coordinator {

ChatSettings detect_chat_settings(ChatRenderer render, std::span<const std::string> sources, const engine::Tokenizer& tokenizer) {
  ChatSettings settings;
  settings.traits = probe_chat_templates(render, sources);
  settings.render = std::move(render);
  // The template for tools, where there is one, is the last; what it does not show the others may.
  for (auto source = sources.rbegin(); source != sources.rend(); ++source) {
    const auto found = engine::detect_output_format(*source, [&](std::string_view token) { return tokenizer.token_id(token) >= 0; });
    if (settings.format.tools == "none") settings.format.tools = found.tools;
    if (settings.format.reasoning == "none") settings.format.reasoning = found.reasoning;
  }
  return settings;
}

std::string describe(const ChatSettings& settings) {
  if (!settings.render) return "chat: the model has no template; messages are one plain text";
  const char* without_tools = settings.traits.tools ? "" : " (the template takes no tools)";
  return text("chat: tool calls ", settings.format.tools, without_tools, ", reasoning ", settings.format.reasoning);
}

}  // namespace colonnade::coordinator
