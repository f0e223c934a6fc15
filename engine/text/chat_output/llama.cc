// Llama 3: the message is a call, {"name": …, "parameters": {…}}, maybe behind <|python_tag|>; several are separated by
// semicolons. Built-in tools: <|python_tag|>NAME.call(key="value").
#include "engine/text/chat_output/forms.h"
#include "engine/text/chat_output/json_call_reader.h"
#include "engine/text/chat_output/python_literal.h"

namespace colonnade::engine {
namespace {

constexpr std::string_view kTag = "<|python_tag|>";

class Llama final : public CallStage {
 public:
  Llama(OutputSink& output, const ToolList& tools)
      : CallStage(output, tools), reader_(*this, {.known_names_only = true}) {}

  bool opens_call(std::string_view spelling) const override { return spelling == kTag; }

 private:
  enum class State { kStart, kAfterTag, kJson, kCode, kBetween, kContent };

  Markers markers() const override {
    static constexpr std::string_view kMarkers[] = {kTag};
    return state_ == State::kJson || state_ == State::kCode || state_ == State::kAfterTag ? Markers() : Markers(kMarkers);
  }

  std::size_t on_text(std::string_view text) override {
    switch (state_) {
      case State::kStart:
      case State::kAfterTag:
      case State::kBetween:
        return look_for_call(text);
      case State::kJson:
        return read_json(text);
      case State::kCode:
        keep(text);
        code_ += text;
        return text.size();
      case State::kContent:
        sink().content(text);
        return text.size();
    }
    return text.size();
  }

  std::size_t look_for_call(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (c == '{' || c == '[') {
        state_ = State::kJson;
      } else if (is_blank(c) || (c == ';' && state_ == State::kBetween)) {
        keep(text.substr(i, 1));
        continue;
      } else {
        if (state_ != State::kAfterTag) give_up();
        state_ = state_ == State::kAfterTag ? State::kCode : State::kContent;
      }
      return i;
    }
    return text.size();
  }

  std::size_t read_json(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const JsonCallReader::Step step = reader_.push(text[i]);
      if (step == JsonCallReader::Step::kBroken) {
        give_up();
        state_ = State::kContent;
        return i;
      }
      keep(text.substr(i, 1));
      if (step == JsonCallReader::Step::kMore) continue;
      drop_kept();
      state_ = State::kBetween;
      return i + 1;
    }
    return text.size();
  }

  void on_marker(std::string_view marker) override {
    give_up();
    keep(marker);
    state_ = State::kAfterTag;
  }

  void on_end() override {
    if (state_ == State::kBetween) return;
    if (state_ == State::kCode && call_of_code()) return;
    give_up();
  }

  /// NAME.call(key="value", …), or code, which is content.
  bool call_of_code() {
    const std::string_view code = trimmed(code_);
    const std::size_t open = code.find(".call(");
    if (open == std::string_view::npos || !code.ends_with(')')) return false;
    const std::size_t begin = open + std::string_view(".call(").size();
    const auto arguments_json = json_of_python_arguments(code.substr(begin, code.size() - 1 - begin));
    if (!arguments_json || !begin_call(code.substr(0, open))) return false;
    arguments(*arguments_json);
    end_call();
    return true;
  }

  JsonCallReader reader_;
  State state_ = State::kStart;
  std::string code_;
};

}  // namespace

StagePtr make_llama(OutputSink& sink, const ToolList& tools) { return std::make_unique<Llama>(sink, tools); }

}  // namespace colonnade::engine
