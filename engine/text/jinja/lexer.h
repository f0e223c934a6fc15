// A template's text to tokens, with trim_blocks and lstrip_blocks on, as transformers sets them.
#pragma once

#include <string_view>
#include <vector>

#include "engine/text/jinja/token.h"

namespace colonnade::engine::jinja {

/// Ends with a kEnd token. Throws TemplateError with the line.
std::vector<Token> tokenize_template(std::string_view source);

}  // namespace colonnade::engine::jinja
