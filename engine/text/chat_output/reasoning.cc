// Reasoning at the beginning of a message, between two markers.
#include <algorithm>

#include "engine/text/chat_output/forms.h"

namespace colonnade::engine {
namespace {

class Plain final : public OutputStage {
 public:
  explicit Plain(OutputSink& sink) : sink_(sink) {}
  void text(std::string_view piece) override { sink_.content(piece); }
  void special(std::string_view) override {}
  void finish() override {}

 private:
  OutputSink& sink_;
};

class Reasoning final : public MarkedStage {
 public:
  Reasoning(OutputSink& output, const ReasoningForm& form, bool open, StagePtr rest)
      : MarkedStage(output), form_(form), rest_(std::move(rest)), state_(open ? State::kOpened : State::kStart) {
    if (open) sink().boundary();
  }

 private:
  enum class State { kStart, kOpened, kReasoning, kRest };

  Markers markers() const override {
    switch (state_) {
      case State::kStart:
        return Markers(&form_.open, 1);
      case State::kOpened:  // a model may open again what the prompt has opened
        return both_;
      case State::kReasoning:
        return Markers(&form_.close, 1);
      case State::kRest:
        return form_.around_answer;
    }
    return {};
  }

  std::size_t on_text(std::string_view text) override {
    const auto first = std::find_if_not(text.begin(), text.end(), is_blank);
    const bool blank = first == text.end();
    switch (state_) {
      case State::kStart:
        if (blank) {
          held_ += text;
          return text.size();
        }
        begin_rest();
        return 0;
      case State::kOpened:
        if (blank) return text.size();
        state_ = State::kReasoning;
        return 0;
      case State::kReasoning:
        sink().reasoning(text);
        return text.size();
      case State::kRest:
        return on_rest(text);
    }
    return text.size();
  }

  std::size_t on_rest(std::string_view text) {
    // White space that divides reasoning and answer must not reach a form that looks at the beginning.
    std::size_t begin = 0;
    while (behind_marker_ && begin < text.size() && is_blank(text[begin])) ++begin;
    if (begin == text.size()) return begin;
    behind_marker_ = false;
    rest_->text(text.substr(begin));
    return text.size();
  }

  void begin_rest() {
    state_ = State::kRest;
    if (!held_.empty()) rest_->text(held_);
    held_.clear();
  }

  void on_marker(std::string_view marker) override {
    sink().boundary();
    behind_marker_ = true;
    held_.clear();
    state_ = state_ == State::kRest || marker == form_.close ? State::kRest : State::kReasoning;
  }

  void on_special(std::string_view spelling) override {
    if (state_ == State::kRest || !rest_->opens_call(spelling)) {
      if (state_ == State::kRest) rest_->special(spelling);
      return;
    }
    if (state_ == State::kReasoning) sink().boundary();
    begin_rest();
    rest_->special(spelling);
  }

  void on_end() override {
    if (state_ == State::kStart) begin_rest();
    rest_->finish();
  }

  const ReasoningForm& form_;
  const std::string_view both_[2] = {form_.open, form_.close};
  StagePtr rest_;
  State state_;
  std::string held_;  // white space before anything else
  bool behind_marker_ = false;
};

}  // namespace

StagePtr make_plain(OutputSink& sink) { return std::make_unique<Plain>(sink); }

StagePtr make_reasoning(OutputSink& sink, const ReasoningForm& form, bool open, StagePtr rest) {
  return std::make_unique<Reasoning>(sink, form, open, std::move(rest));
}

}  // namespace colonnade::engine
