#include "engine/text/jinja/markup.h"

#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/letters.h"
#include "engine/text/jinja/print.h"
#include "engine/text/jinja/text_methods.h"

namespace colonnade::engine::jinja {
namespace {

Value escape(Context& context, const Value& subject, const Bound&) {
  return context.string(escaped_text(context, subject), true);
}

Value force_escape(Context& context, const Value& subject, const Bound&) {
  return context.string(escape_html(context, str_of(context, subject)), true);
}

Value safe(Context& context, const Value& subject, const Bound&) { return context.string(str_of(context, subject), true); }

Value tags_stripped(Context& context, const Value& subject, const Bound&) {
  return context.string(strip_tags(context, str_of(context, subject)));
}

/// "&lt;" → "<": the entities that HTML texts have.
MarkedText unescaped(Context& context, const MarkedText& text) {
  static constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
      {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&#39;", "'"}, {"&#34;", "\""}, {"&quot;", "\""}, {"&apos;", "'"}, {"&nbsp;", "\u00a0"}};
  TextBuilder out(context);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t entity = std::min(text.view().find('&', at), text.size());
    out.append(text, at, entity);
    at = entity;
    if (at == text.size()) break;
    std::size_t size = 1;
    std::string_view letter = "&";
    for (const auto& [spelled, meant] : kEntities) {
      if (!text.view().substr(at).starts_with(spelled)) continue;
      size = spelled.size();
      letter = meant;
    }
    out.append_as(letter, text, at, at + size);
    at += size;
  }
  return out.take();
}

}  // namespace

MarkedText escape_html(Context& context, const MarkedText& text) {
  TextBuilder out(context);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t special = std::min(text.view().find_first_of("&<>'\"", at), text.size());
    out.append(text, at, special);
    if (special == text.size()) break;
    const char c = text.view()[special];
    const char* entity = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '\'' ? "&#39;" : "&#34;";
    out.append_as(entity, text, special, special + 1);
    at = special + 1;
  }
  return out.take();
}

MarkedText escaped_text(Context& context, const Value& value) {
  if (value.is_markup()) return value.as_text();
  return escape_html(context, str_of(context, value));
}

MarkedText strip_tags(Context& context, const MarkedText& text) {
  context.budget.step_bytes(text.size());
  MarkedText rest = text;
  for (const auto& [open, close] : {std::pair("<!--", "-->"), std::pair("<", ">")}) {
    TextBuilder out(context);
    const std::size_t close_size = std::string_view(close).size();
    std::size_t at = 0;
    while (at < rest.size()) {
      const std::size_t begin = rest.view().find(open, at);
      const std::size_t end = begin == std::string_view::npos ? begin : rest.view().find(close, begin);
      if (end == std::string_view::npos) break;
      out.append(rest, at, begin);
      at = end + close_size;
    }
    out.append(rest, at, rest.size());
    rest = out.take();
  }
  TextBuilder out(context);
  for (const ByteRange& word : split_ranges(context, rest.view(), nullptr, -1, false)) {
    if (out.size() > 0) out.append(' ');
    out.append(rest, word.begin, word.end);
  }
  return unescaped(context, out.take());
}

std::span<const Filter> markup_filters() {
  static const Filter kFilters[] = {
      {{"e", "", 0}, escape},
      {{"escape", "", 0}, escape},
      {{"forceescape", "", 0}, force_escape},
      {{"safe", "", 0}, safe},
      {{"striptags", "", 0}, tags_stripped},
  };
  return kFilters;
}

}  // namespace colonnade::engine::jinja
