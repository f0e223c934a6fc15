// A chat message as its tokens come: content, reasoning and tool calls, taken apart by the model's forms
// (engine/text/chat_output/chat_output.h). Stop strings count in the content only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/choice_output.h"
#include "coordinator/stop_filter.h"
#include "engine/text/chat_output/chat_output.h"
#include "engine/text/tokenizer.h"

namespace colonnade::coordinator {

/// How a chat answer is read.
struct ChatOutput {
  engine::OutputFormat format;
  engine::OutputOptions options;
  bool parallel_calls = true;  // false: the answer ends behind its first call
};

class ChatText final : public ChoiceOutput {
 public:
  /// `make_id` gives the ids of calls for which the model gave none.
  ChatText(const engine::Tokenizer& tokenizer, std::span<const std::int32_t> prompt, const ChatOutput& output,
           std::vector<std::string> stops, std::function<std::string()> make_id);

  ChoiceDelta push_prompt(ChoiceToken) override { return {}; }  // chats have no echo
  /// Tokens are given out with the first text behind which they stand, whatever kind of text that is.
  ChoiceDelta push(ChoiceToken token) override;
  ChoiceDelta finish() override;
  bool stopped() const override { return filter_.stopped() || calls_done_; }
  const char* stop_reason() const override { return n_calls_ > 0 ? "tool_calls" : "stop"; }
  std::size_t reasoning_tokens() const override { return reasoning_tokens_; }

 private:
  void take(const engine::OutputEvents& events, ChoiceDelta& delta);
  void take_call(const engine::OutputEvent& event, ChoiceDelta& delta);
  void give_tokens(ChoiceDelta& delta);

  const engine::Tokenizer& tokenizer_;
  engine::StreamDecoder decoder_;
  StopFilter filter_;
  std::unique_ptr<engine::OutputParser> parser_;
  const bool parallel_calls_;
  const std::function<std::string()> make_id_;
  std::vector<ChoiceToken> waiting_;
  std::size_t n_calls_ = 0;
  bool calls_done_ = false;
  bool in_reasoning_;
  std::size_t reasoning_tokens_ = 0;
};

}  // namespace colonnade::coordinator
