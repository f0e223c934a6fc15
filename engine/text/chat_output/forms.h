// The families' forms as stages of an output parser, and the table that names them. Internal to this folder.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/text/chat_output/marked_stage.h"

namespace colonnade::engine {

using ToolList = std::vector<ToolSignature>;
using StagePtr = std::unique_ptr<OutputStage>;

/// A tool call form. `tools` outlives the stage.
struct ToolForm {
  std::string_view name;
  StagePtr (*make)(OutputSink& sink, const ToolList& tools);
};

StagePtr make_hermes(OutputSink& sink, const ToolList& tools);
StagePtr make_nemotron(OutputSink& sink, const ToolList& tools);
StagePtr make_apriel(OutputSink& sink, const ToolList& tools);
StagePtr make_apertus(OutputSink& sink, const ToolList& tools);
StagePtr make_granite(OutputSink& sink, const ToolList& tools);
StagePtr make_command_r(OutputSink& sink, const ToolList& tools);
StagePtr make_gigachat(OutputSink& sink, const ToolList& tools);
StagePtr make_llama(OutputSink& sink, const ToolList& tools);
StagePtr make_mistral(OutputSink& sink, const ToolList& tools);
StagePtr make_deepseek(OutputSink& sink, const ToolList& tools);
StagePtr make_kimi(OutputSink& sink, const ToolList& tools);
StagePtr make_functionary(OutputSink& sink, const ToolList& tools);
StagePtr make_qwen_coder(OutputSink& sink, const ToolList& tools);
StagePtr make_seed(OutputSink& sink, const ToolList& tools);
StagePtr make_minimax(OutputSink& sink, const ToolList& tools);
StagePtr make_glm(OutputSink& sink, const ToolList& tools);

/// Channels: reasoning, calls and content in one. `calls` false: calls are content.
StagePtr make_harmony(OutputSink& sink, bool calls, OutputOptions::Start start);

/// Text as it is.
StagePtr make_plain(OutputSink& sink);

struct ReasoningForm {
  std::string_view name;
  std::string_view open;
  std::string_view close;
  std::vector<std::string_view> around_answer = {};  // markers that stand around the answer and mean nothing else
};
std::span<const ReasoningForm> reasoning_forms();

/// Reasoning at the beginning of a message (or opened by the prompt); what follows goes to `rest`.
StagePtr make_reasoning(OutputSink& sink, const ReasoningForm& form, bool open, StagePtr rest);

}  // namespace colonnade::engine
