// How a model's conversations become prompts, and its answers messages.
#pragma once

#include "coordinator/chat_traits.h"
#include "engine/text/chat_output/chat_output.h"
#include "engine/text/tokenizer.h"

namespace colonnade::coordinator {

struct ChatSettings {
  ChatRenderer render;   // empty: the model has no template and gets engine/text/chat.h's plain form
  ChatTraits traits;
  engine::OutputFormat format;
  bool allow_request_templates = false;  // templates are programs: only from those who are trusted
};

/// What the model's templates (those that are chosen without a name) and its vocabulary show.
ChatSettings detect_chat_settings(ChatRenderer render, std::span<const std::string> sources,
                                  const engine::Tokenizer& tokenizer);

/// "tool calls: hermes; reasoning: think": what `serve` prints.
std::string describe(const ChatSettings& settings);

}  // namespace colonnade::coordinator
