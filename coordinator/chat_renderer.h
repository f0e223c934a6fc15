// A model's chat templates as the API uses them: conversations to prompts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coordinator/chat_settings.h"
#include "engine/text/chat_template.h"
#include "engine/text/tokenizer.h"

namespace colonnade::coordinator {

/// Empty when there are no templates. Without a tokenizer, which outlives it otherwise, it gives text and no tokens.
ChatRenderer make_chat_renderer(std::shared_ptr<const engine::ChatTemplates> templates, const engine::Tokenizer* tokenizer);

/// The texts of the templates that are chosen without a name: without tools, and with tools where that is another.
std::vector<std::string> template_sources(const engine::ChatTemplates& templates);

/// What `templates` make of conversations, and what they and the vocabulary show of the model's forms. Without templates
/// the settings are those of a plain text. `tokenizer` outlives them.
ChatSettings chat_settings_of(std::shared_ptr<const engine::ChatTemplates> templates, const engine::Tokenizer& tokenizer);

}  // namespace colonnade::coordinator
