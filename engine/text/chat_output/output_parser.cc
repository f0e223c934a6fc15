// The table of forms, how a template shows which is its own, and the parser made of them.
#include <algorithm>
#include <array>

#include "engine/base/check.h"
#include "engine/text/chat_output/forms.h"

namespace colonnade::engine {
namespace {

constexpr std::string_view kNone = "none";
constexpr std::string_view kHarmony = "harmony";

constexpr ToolForm kToolForms[] = {
    {"hermes", make_hermes},     {"qwen-coder", make_qwen_coder}, {"llama", make_llama},
    {"mistral", make_mistral},   {"deepseek", make_deepseek},     {"glm", make_glm},
    {"kimi", make_kimi},         {"minimax", make_minimax},       {"seed", make_seed},
    {"granite", make_granite},   {"command-r", make_command_r},   {"functionary", make_functionary},
    {"nemotron", make_nemotron}, {"apriel", make_apriel},         {"apertus", make_apertus},
    {"gigachat", make_gigachat},
};

class Parser final : public OutputParser {
 public:
  Parser(const OutputFormat& format, OutputOptions options) : tools_(std::move(options.tools)) {
    if (format.tools == kHarmony || format.reasoning == kHarmony) {
      first_ = make_harmony(sink_, options.parse_calls, options.start);
      return;
    }
    first_ = make_plain(sink_);
    if (options.parse_calls && format.tools != kNone) {
      const auto form = std::find_if(std::begin(kToolForms), std::end(kToolForms),
                                     [&](const ToolForm& one) { return one.name == format.tools; });
      COLONNADE_CHECK(form != std::end(kToolForms), "a tool format that is not in the list");
      first_ = form->make(sink_, tools_);
    }
    if (format.reasoning == kNone || options.start == OutputOptions::Start::kContent) return;
    const auto forms = reasoning_forms();
    const auto form = std::find_if(forms.begin(), forms.end(), [&](const ReasoningForm& one) { return one.name == format.reasoning; });
    COLONNADE_CHECK(form != forms.end(), "a reasoning format that is not in the list");
    first_ = make_reasoning(sink_, *form, options.start == OutputOptions::Start::kReasoning, std::move(first_));
  }

  OutputEvents push_text(std::string_view text) override {
    first_->text(text);
    return sink_.take();
  }
  OutputEvents push_special(std::string_view spelling) override {
    first_->special(spelling);
    return sink_.take();
  }
  OutputEvents finish() override {
    first_->finish();
    sink_.finish();
    return sink_.take();
  }

 private:
  const ToolList tools_;
  OutputSink sink_;
  StagePtr first_;
};

struct Sign {
  std::string_view text;  // in the template
  std::string_view format;
};

// The first that is found counts: special signs before those that they contain.
constexpr Sign kToolSigns[] = {
    {"<|channel|>", "harmony"},
    {"[TOOL_CALLS]", "mistral"},
    {"<｜tool▁call▁begin｜>", "deepseek"},
    {"<|tool_calls_section_begin|>", "kimi"},
    {"<minimax:tool_call>", "minimax"},
    {"seed:tool_call", "seed"},
    {"<arg_key>", "glm"},
    {"<tool_call>\\n<function=", "qwen-coder"},
    {"<tool_call>\n<function=", "qwen-coder"},
    {"<|tools_prefix|>", "apertus"},
    {"<TOOLCALL>", "nemotron"},
    {"<tool_calls>[", "apriel"},
    {"<|role_sep|>", "gigachat"},
    {"<|tool_call|>", "granite"},
    {"<|START_ACTION|>", "command-r"},
    {"Action:\\n```json", "command-r"},
    {"Action:\n```json", "command-r"},
    {"<function=", "functionary"},
    {"<tool_call>", "hermes"},
    {"<|python_tag|>", "llama"},
    {"\"parameters\": dictionary of argument name and its value", "llama"},
};

constexpr Sign kReasoningSigns[] = {
    {"<|channel|>", "harmony"},
    {"[THINK]", "mistral"},
    {"seed:think", "seed"},
    {"<|START_THINKING|>", "command-r"},
    {"<|inner_prefix|>", "apertus"},
    {"<response></response>", "granite"},
    {"<think>", "think"},
    {"</think>", "think"},
    {"<thinking>", "thinking"},
};

std::string first_sign(std::span<const Sign> signs, std::string_view chat_template) {
  for (const Sign& sign : signs) {
    if (chat_template.find(sign.text) != std::string_view::npos) return std::string(sign.format);
  }
  return std::string(kNone);
}

}  // namespace

std::span<const ReasoningForm> reasoning_forms() {
  static const ReasoningForm kForms[] = {
      {"think", "<think>", "</think>"},
      {"thinking", "<thinking>", "</thinking>"},
      {"mistral", "[THINK]", "[/THINK]"},
      {"seed", "<seed:think>", "</seed:think>"},
      {"command-r", "<|START_THINKING|>", "<|END_THINKING|>", {"<|START_RESPONSE|>", "<|END_RESPONSE|>"}},
      {"apertus", "<|inner_prefix|>", "<|inner_suffix|>"},
      {"granite", "<think>", "</think>", {"<response>", "</response>"}},
  };
  return kForms;
}

std::span<const std::string_view> tool_formats() {
  static const std::vector<std::string_view> kNames = [] {
    std::vector<std::string_view> names = {kHarmony};
    for (const ToolForm& form : kToolForms) names.push_back(form.name);
    names.push_back(kNone);
    return names;
  }();
  return kNames;
}

std::span<const std::string_view> reasoning_formats() {
  static const std::vector<std::string_view> kNames = [] {
    std::vector<std::string_view> names = {kHarmony};
    for (const ReasoningForm& form : reasoning_forms()) names.push_back(form.name);
    names.push_back(kNone);
    return names;
  }();
  return kNames;
}

std::unique_ptr<OutputParser> make_output_parser(const OutputFormat& format, OutputOptions options) {
  return std::make_unique<Parser>(format, std::move(options));
}

OutputFormat detect_output_format(std::string_view chat_template, const std::function<bool(std::string_view)>& has_token) {
  OutputFormat format{.tools = first_sign(kToolSigns, chat_template), .reasoning = first_sign(kReasoningSigns, chat_template)};
  for (const ReasoningForm& form : reasoning_forms()) {
    if (format.reasoning == kNone && has_token && has_token(form.open) && has_token(form.close)) format.reasoning = form.name;
  }
  return format;
}

bool leaves_reasoning_open(std::string_view reasoning_format, std::string_view message) {
  for (const ReasoningForm& form : reasoning_forms()) {
    if (form.name != reasoning_format) continue;
    const std::size_t open = message.rfind(form.open);
    const std::size_t close = message.rfind(form.close);
    return open != std::string_view::npos && (close == std::string_view::npos || close < open);
  }
  return false;
}

std::string_view reasoning_end(std::string_view reasoning_format) {
  for (const ReasoningForm& form : reasoning_forms()) {
    if (form.name == reasoning_format) return form.close;
  }
  return {};
}

bool opens_reasoning(std::string_view reasoning_format, std::string_view prompt) {
  if (reasoning_format == kHarmony) return trimmed(prompt).ends_with("<|channel|>analysis<|message|>");
  for (const ReasoningForm& form : reasoning_forms()) {
    if (form.name == reasoning_format) return trimmed(prompt).ends_with(form.open);
  }
  return false;
}

}  // namespace colonnade::engine
