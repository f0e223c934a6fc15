// gpt-oss: messages with a header, <|start|>assistant<|channel|>analysis<|message|>…<|end|>. The channel says what a message
// is; one with a recipient ("to=functions.NAME") is a call.
#include "engine/text/chat_output/call_stage.h"
#include "engine/text/chat_output/forms.h"

namespace colonnade::engine {
namespace {

constexpr std::string_view kStart = "<|start|>";
constexpr std::string_view kChannel = "<|channel|>";
constexpr std::string_view kConstrain = "<|constrain|>";
constexpr std::string_view kMessage = "<|message|>";
constexpr std::string_view kInHeader[] = {kStart, kChannel, kConstrain, kMessage, "<|end|>", "<|call|>", "<|return|>"};
constexpr std::string_view kInBody[] = {kStart, "<|end|>", "<|call|>", "<|return|>"};
constexpr std::size_t kMaxHeaderBytes = 512;

const ToolList kNoTools;

class Harmony final : public CallStage {
 public:
  Harmony(OutputSink& output, bool calls, OutputOptions::Start start) : CallStage(output, kNoTools), calls_(calls) {
    if (start == OutputOptions::Start::kMessage) return;
    body_ = start == OutputOptions::Start::kReasoning ? Body::kReasoning : Body::kContent;
    in_header_ = false;
  }

 private:
  enum class Body { kContent, kReasoning, kArguments };

  Markers markers() const override { return in_header_ ? Markers(kInHeader) : Markers(kInBody); }

  std::size_t on_text(std::string_view text) override {
    if (in_header_) return on_header(text);
    switch (body_) {
      case Body::kContent:
        sink().content(text);
        break;
      case Body::kReasoning:
        sink().reasoning(text);
        break;
      case Body::kArguments:
        arguments(text);
        break;
    }
    return text.size();
  }

  /// A header has a role, "to=RECIPIENT" and a channel; a message without one is content.
  std::size_t on_header(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      header_ += text[i];
      keep(text.substr(i, 1));
      const std::string_view words = trimmed(header_);
      const bool plain = channel_at_ == std::string::npos && !started_;
      const bool fits = words.empty() || std::string_view("to=").starts_with(words.substr(0, 3)) ||
                        std::string_view("assistant").starts_with(words.substr(0, 9));
      if (header_.size() < kMaxHeaderBytes && (!plain || fits)) continue;
      give_up();
      begin_body(Body::kContent);
      return i + 1;
    }
    return text.size();
  }

  void on_marker(std::string_view marker) override {
    if (!in_header_) {
      if (body_ == Body::kArguments) end_call();
      else sink().boundary();
      begin_header(marker == kStart);
    } else if (marker == kChannel || marker == kConstrain) {
      keep(marker);
      if (marker == kChannel) channel_at_ = header_.size();
      header_ += ' ';  // "json" behind <|constrain|> is a word of its own
    } else if (marker == kMessage) {
      begin_message();
    } else {  // a header without a message
      drop_kept();
      begin_header(marker == kStart);
    }
  }

  void begin_header(bool started) {
    in_header_ = true;
    started_ = started;
    header_.clear();
    channel_at_ = std::string::npos;
  }

  void begin_body(Body body) {
    in_header_ = false;
    body_ = body;
  }

  void begin_message() {
    drop_kept();
    const std::string_view header = header_;
    std::string_view channel;
    if (channel_at_ != std::string::npos) channel = trimmed(header.substr(channel_at_));
    if (const std::size_t to = header.find("to="); to != std::string_view::npos && calls_) {
      std::string_view recipient = header.substr(to + 3);
      recipient = recipient.substr(0, recipient.find_first_of(" \n"));
      if (recipient.starts_with("functions.")) recipient.remove_prefix(10);
      if (begin_call(recipient)) return begin_body(Body::kArguments);
    }
    begin_body(channel.starts_with("analysis") ? Body::kReasoning : Body::kContent);
    sink().boundary();
  }

  void on_end() override {
    if (in_header_) {
      if (channel_at_ == std::string::npos && !started_) give_up();
    } else if (body_ == Body::kArguments) {
      end_call();
    }
  }

  const bool calls_;
  bool in_header_ = true;
  bool started_ = false;  // <|start|> came, so the role is part of the header
  std::string header_;
  std::size_t channel_at_ = std::string::npos;  // where the channel's name begins in the header
  Body body_ = Body::kContent;
};

}  // namespace

StagePtr make_harmony(OutputSink& sink, bool calls, OutputOptions::Start start) {
  return std::make_unique<Harmony>(sink, calls, start);
}

}  // namespace colonnade::engine
