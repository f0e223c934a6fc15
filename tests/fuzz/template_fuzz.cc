// Text of a chat template, rendered with a conversation that has some of everything. Limits are small, so that what runs
// away is stopped by them and not by the clock.
#include <string_view>

#include "engine/text/chat_template.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace colonnade;
  static const OrderedJson kVariables = OrderedJson::parse(R"({
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Größe? <|im_end|> 你好 🙂\n"},
      {"role": "assistant", "content": null, "tool_calls": [{"id": "a1", "function": {"name": "f", "arguments": {"x": [1, 2.5, true]}}}]},
      {"role": "tool", "content": [{"type": "text", "text": "12"}]}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "array"}}}}}],
    "documents": null, "add_generation_prompt": true, "bos_token": "<s>", "s": "a b", "l": [3, 1, 2], "i": -7, "f": 1e22})");
  engine::ChatTemplateLimits limits;
  limits.steps = 50'000;
  limits.live_bytes = 4 << 20;
  limits.depth = 200;
  const auto templates = engine::ChatTemplates::from_text({reinterpret_cast<const char*>(data), size}, "fuzz", limits);
  if (!templates.ok()) return 0;
  const auto rendered = templates->render_variables(kVariables, [] { return std::tm{}; });
  if (!rendered.ok()) return 0;
  std::size_t last = 0;
  for (const engine::ByteRange& range : rendered->from_input) {
    if (range.begin < last || range.end <= range.begin || range.end > rendered->text.size()) __builtin_trap();
    last = range.end + 1;  // ranges do not touch
  }
  return 0;
}
