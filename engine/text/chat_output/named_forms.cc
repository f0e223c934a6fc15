// Mistral, DeepSeek, Kimi, functionary: a name, then arguments.
#include "engine/text/chat_output/forms.h"
#include "engine/text/chat_output/named_calls.h"

namespace colonnade::engine {
namespace {

using Parts = std::vector<std::string>;

std::string_view part(const Parts& parts, std::size_t index) {
  return index < parts.size() ? trimmed(parts[index]) : std::string_view();
}

/// [TOOL_CALLS]NAME[ARGS]{…}, with [CALL_ID]ID between; before version 11 of Mistral's tokenizers [TOOL_CALLS][{…}, …].
class Mistral final : public NamedCalls {
 public:
  Mistral(OutputSink& output, const ToolList& tools)
      : NamedCalls(output, tools, {.open = {"[TOOL_CALLS]"}, .separators = {"[CALL_ID]", "[ARGS]"}, .min_separators = 0,
                                   .lists = true}) {}

 private:
  Header read_header(const Parts& parts) const override {
    return {.name = part(parts, 0), .id = parts.size() > 2 ? part(parts, 1) : std::string_view()};
  }
};

/// V3.1: <｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{…}<｜tool▁call▁end｜>. V3 and R1: the type is in the name's place, and behind
/// the separator come the name, a line end and the arguments in a fence of ```json.
class DeepSeek final : public NamedCalls {
 public:
  DeepSeek(OutputSink& output, const ToolList& tools)
      : NamedCalls(output, tools,
                   {.open = {"<｜tool▁call▁begin｜>"},
                    .section = {"<｜tool▁calls▁begin｜>"},
                    .separators = {"<｜tool▁sep｜>"},
                    .close = {"<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"},
                    .filling = "`"}) {}

 private:
  Header read_header(const Parts& parts) const override {
    std::string_view behind = part(parts, 1);
    if (behind.empty()) return {.name = part(parts, 0)};
    if (behind.ends_with("```json")) behind = trimmed(behind.substr(0, behind.size() - 7));
    return {.name = behind};
  }
};

/// <|tool_call_begin|>functions.NAME:INDEX<|tool_call_argument_begin|>{…}<|tool_call_end|>. What stands before the arguments
/// is the id that the model expects to see again.
class Kimi final : public NamedCalls {
 public:
  Kimi(OutputSink& output, const ToolList& tools)
      : NamedCalls(output, tools,
                   {.open = {"<|tool_call_begin|>"},
                    .section = {"<|tool_calls_section_begin|>"},
                    .separators = {"<|tool_call_argument_begin|>"},
                    .close = {"<|tool_call_end|>", "<|tool_calls_section_end|>"}}) {}

 private:
  Header read_header(const Parts& parts) const override {
    Header header{.name = part(parts, 0), .id = part(parts, 0)};
    if (header.name.starts_with("functions.")) header.name.remove_prefix(10);
    if (const std::size_t colon = header.name.rfind(':'); colon != std::string_view::npos) header.name = header.name.substr(0, colon);
    return header;
  }
};

/// <function=NAME>{…}</function>, also Llama 3's form for functions of one's own.
class Functionary final : public NamedCalls {
 public:
  Functionary(OutputSink& output, const ToolList& tools)
      : NamedCalls(output, tools, {.open = {"<function="}, .separators = {">"}, .close = {"</function>"}}) {}

 private:
  Header read_header(const Parts& parts) const override {
    return {.name = part(parts, 1).empty() ? part(parts, 0) : std::string_view()};
  }
};

}  // namespace

StagePtr make_mistral(OutputSink& sink, const ToolList& tools) { return std::make_unique<Mistral>(sink, tools); }
StagePtr make_deepseek(OutputSink& sink, const ToolList& tools) { return std::make_unique<DeepSeek>(sink, tools); }
StagePtr make_kimi(OutputSink& sink, const ToolList& tools) { return std::make_unique<Kimi>(sink, tools); }
StagePtr make_functionary(OutputSink& sink, const ToolList& tools) { return std::make_unique<Functionary>(sink, tools); }

}  // namespace colonnade::engine
