#include "coordinator/cli/chat_options.h"

#include <span>
#include <string_view>

namespace colonnade::cli {
namespace {

std::vector<std::string> choices(std::span<const std::string_view> formats) {
  std::vector<std::string> names = {"auto"};
  for (const std::string_view format : formats) names.emplace_back(format);
  return names;
}

}  // namespace

Option chat_template_option() {
  return {.name = "chat-template", .value_name = "FILE", .help = "A Jinja template for conversations in place of the model's own."};
}

std::vector<Option> chat_option_list() {
  return {
      chat_template_option(),
      {.name = "tool-format", .kind = OptionKind::kChoice, .default_value = "auto", .value_name = "NAME",
       .help = "Form of the model's tool calls; auto: told by its chat template.", .choices = choices(engine::tool_formats())},
      {.name = "reasoning-format", .kind = OptionKind::kChoice, .default_value = "auto", .value_name = "NAME",
       .help = "Form of the model's reasoning; none leaves it in the content.", .choices = choices(engine::reasoning_formats())},
      {.name = "allow-request-templates", .kind = OptionKind::kFlag, .default_value = "false",
       .help = "Render with the chat_template of a request: only for clients that are trusted."},
  };
}

void apply_chat_options(const Options& options, coordinator::ChatSettings& settings) {
  if (const std::string name = options.text("tool-format"); name != "auto") settings.format.tools = name;
  if (const std::string name = options.text("reasoning-format"); name != "auto") settings.format.reasoning = name;
  settings.allow_request_templates = options.flag("allow-request-templates");
}

}  // namespace colonnade::cli
