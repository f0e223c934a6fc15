// A conversation as JSON, rendered with templates that look at all of it.
#include <string_view>
#include <vector>

#include "engine/text/chat_template.h"
#include "tests/fuzz/target.h"

namespace {

using namespace colonnade;

constexpr const char* kTemplates[] = {
    R"({{ bos_token }}{% for m in messages %}{{ '<|' + m.role + '|>' }}{% if m.content is string %}{{ m.content | trim }}{% else %}{% for p in m.content %}
{{ p.text }}{% endfor %}{% endif %}{% if m.tool_calls %}{% for c in m.tool_calls %}{{ c.function.name }}{{ c.function.arguments | tojson(indent=2) }}
{% endfor %}{% endif %}{% if '</think>' in m.content %}{{ m.content.split('</think>')[-1].lstrip('\n') }}{% endif %}{% endfor %}{{ tools|tojson }})",
    R"({{ messages }}{{ tools|string|upper|title|capitalize|wordcount }}{{ messages|map(attribute='content')|join('|')|replace('a', 'bb')|reverse }}
{% macro show(v, d) %}{% if d < 6 %}{% if v is mapping %}{% for k, x in v|dictsort %}{{ k|lower }}={{ show(x, d + 1) }};{% endfor %}{% elif v is string %}
{{ v[1:-1] ~ v[::-1] ~ v.center(9, '*') ~ '%5.2s' % v ~ v|truncate(5) ~ v|indent }}{% elif v is iterable %}{% for x in v %}{{ loop.index }}{{ show(x, d + 1) }}
{% endfor %}{% elif v is number %}{{ v|round(2) }}{{ '%g' % v }}{{ '{:,}'.format(v) }}{% endif %}{% endif %}{% endmacro %}{{ show(messages, 0) }}{{ show(documents, 0) }})"};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto kCompiled = [] {
    engine::ChatTemplateLimits limits;
    limits.steps = 200'000;
    limits.live_bytes = 16 << 20;
    std::vector<engine::ChatTemplates> all;
    for (const char* source : kTemplates) all.push_back(engine::ChatTemplates::from_text(source, "template", limits).value());
    return all;
  }();
  const auto json = parse_ordered_json({reinterpret_cast<const char*>(data), size}, "input");
  if (!json.ok() || !json->is_object()) return 0;
  for (const auto& templates : kCompiled) {
    engine::ChatInput input;
    const auto field = [&](const char* name, OrderedJson& out) {
      if (const auto found = json->find(name); found != json->end()) out = *found;
    };
    field("messages", input.messages);
    field("tools", input.tools);
    field("documents", input.documents);
    field("chat_template_kwargs", input.variables);
    input.continue_final_message = json->contains("continue_final_message");
    const auto rendered = templates.render(input, [] { return std::tm{}; });
    if (!rendered.ok()) continue;
    for (const engine::ByteRange& range : rendered->from_input)
      if (range.end <= range.begin || range.end > rendered->text.size()) __builtin_trap();
  }
  return 0;
}
