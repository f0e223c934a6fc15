// A model's chat templates as the API uses them.
#pragma once

#include <memory>

#include "coordinator/chat_settings.h"
#include "engine/text/chat_template.h"

namespace colonnade::coordinator {

/// What `templates` make of conversations, and what they and the vocabulary show of the model's forms. Without templates
/// the settings are those of a plain text. `tokenizer` outlives them.
ChatSettings chat_settings_of(std::shared_ptr<const engine::ChatTemplates> templates, const engine::Tokenizer& tokenizer);

}  // namespace colonnade::coordinator
