// markupsafe's Markup: texts that |safe and |escape give. What is added to one is escaped.
#pragma once

#include "engine/text/jinja/context.h"

namespace colonnade::engine::jinja {

/// & < > ' " as HTML writes them.
MarkedText escape_html(Context& context, const MarkedText& text);
/// markupsafe.escape: Markup stays as it is, the text of anything else is escaped.
MarkedText escaped_text(Context& context, const Value& value);
MarkedText strip_tags(Context& context, const MarkedText& text);

}  // namespace colonnade::engine::jinja
