// What a model's chat template takes, found out by rendering small conversations with it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/text/chat_template.h"

namespace colonnade::coordinator {

struct ChatTraits {
  bool tools = false;              // prints the tools that it is given
  bool parts = false;              // takes content as a list of parts
  bool only_parts = false;         // and no other
  bool arguments_as_text = false;  // of tool calls: wants JSON as a string instead of an object
  bool developer = false;          // knows this role
  bool thinking = false;           // reads reasoning from "thinking" (gpt-oss)
};

/// A conversation as the model gets it.
struct RenderedPrompt {
  std::string text;
  std::vector<std::int32_t> tokens;
};

/// Renders with the model's templates, or with a template that the request brought ("" for none). Thread-safe.
using ChatRenderer = std::function<Result<RenderedPrompt>(const engine::ChatInput& input, const std::string& own_template)>;

/// `sources`: the texts of the templates that are chosen without a name.
ChatTraits probe_chat_templates(const ChatRenderer& render, std::span<const std::string> sources);

}  // namespace colonnade::coordinator
