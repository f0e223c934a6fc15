// Whatever a model writes: read at once and in pieces, in every form. The first two bytes choose the form and where to cut.
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/text/chat_output/chat_output.h"
#include "tests/fuzz/target.h"

namespace {

using namespace colonnade::engine;

std::string gathered(const OutputFormat& format, const OutputOptions& options, std::string_view text, std::size_t piece) {
  const auto parser = make_output_parser(format, options);
  std::string all;
  OutputEvent::Kind last = OutputEvent::Kind::kCallEnd;
  const auto take = [&](const OutputEvents& events) {
    for (const OutputEvent& event : events) {
      if (event.kind != last || event.kind == OutputEvent::Kind::kCallBegin) all += "\n#" + std::to_string(static_cast<int>(event.kind)) + event.id;
      all += event.text;
      last = event.kind;
    }
  };
  for (std::size_t at = 0; at < text.size(); at += piece) take(parser->push_text(text.substr(at, piece)));
  take(parser->finish());
  return all;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto tools = tool_formats();
  const auto reasoning = reasoning_formats();
  const OutputFormat format{std::string(tools[data[0] % tools.size()]), std::string(reasoning[data[0] / 32u % reasoning.size()])};
  OutputOptions options{.parse_calls = data[1] % 8 != 0, .tools = {{"f", {{"a", ParameterKind::kString}}}}};
  options.start = static_cast<OutputOptions::Start>(data[1] / 8u % 3);
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string whole = gathered(format, options, text, text.size() + 1);
  if (gathered(format, options, text, 1) != whole || gathered(format, options, text, 1 + data[1] % 32u) != whole) std::abort();
  return 0;
}
