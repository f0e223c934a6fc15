// A template's text to its tree.
#pragma once

#include <string_view>

#include "engine/text/jinja/ast.h"

namespace colonnade::engine::jinja {

/// Throws TemplateError with the line.
Tree parse_template(std::string_view source);

}  // namespace colonnade::engine::jinja
