// Forms that give each argument a tag of its own: Qwen3-Coder (also Step), Seed-OSS, MiniMax.
#include "engine/text/chat_output/argument_writer.h"
#include "engine/text/chat_output/forms.h"

namespace colonnade::engine {
namespace {

struct XmlForm {
  std::string_view open, close;
  std::string_view function_open, function_close;
  std::string_view parameter_open, parameter_close;
  std::string_view name_end;  // of a function's or a parameter's name
  bool wrapped = false;       // values stand on lines of their own
  bool bare = false;          // a function without the outer tag counts
};

class XmlCalls final : public CallStage {
 public:
  XmlCalls(OutputSink& output, const ToolList& tools, const XmlForm& form)
      : CallStage(output, tools),
        form_(form),
        writer_(*this, form.wrapped),
        in_content_{form.open},
        in_section_{form.function_open, form.close},
        in_name_{form.name_end},
        in_call_{form.parameter_open, form.function_close},
        in_value_{form.parameter_close} {
    if (form.bare) in_content_.push_back(form.function_open);
  }

  bool opens_call(std::string_view spelling) const override { return spelling == form_.open; }

 private:
  enum class State { kContent, kSection, kName, kCall, kParameter, kValue };

  Markers markers() const override {
    switch (state_) {
      case State::kContent:
        return in_content_;
      case State::kSection:
        return in_section_;
      case State::kName:
      case State::kParameter:
        return in_name_;
      case State::kCall:
        return in_call_;
      case State::kValue:
        return in_value_;
    }
    return {};
  }

  std::size_t on_text(std::string_view text) override {
    switch (state_) {
      case State::kContent:
        sink().content(text);
        return text.size();
      case State::kSection:
      case State::kCall:
        return skip_blanks(text);
      case State::kName:
      case State::kParameter:
        return read_name(text);
      case State::kValue:
        writer_.value(text);
        return text.size();
    }
    return text.size();
  }

  std::size_t skip_blanks(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (!is_blank(text[i])) return fail(i);
      keep(text.substr(i, 1));
    }
    return text.size();
  }

  std::size_t read_name(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (name_.size() == kMaxNameBytes || text[i] == '\n' || text[i] == '<') return fail(i);
      keep(text.substr(i, 1));
      name_ += text[i];
    }
    return text.size();
  }

  /// A call that has begun is closed, so that its arguments are JSON.
  std::size_t fail(std::size_t taken) {
    if (writing()) writer_.end();
    break_off();
    state_ = State::kContent;
    return taken;
  }

  void break_off() {
    const bool in_name = writing() && state_ == State::kParameter;
    if (state_ == State::kValue) writer_.break_off();
    give_up();
    if (!in_name) return;
    sink().content(form_.parameter_open);
    sink().content(name_);
  }

  void on_marker(std::string_view marker) override {
    switch (state_) {
      case State::kContent:
      case State::kSection:
        if (marker == form_.function_open) {
          keep(marker);
          name_.clear();
          state_ = State::kName;
        } else if (marker == form_.close) {
          drop_kept();
          sink().boundary();
          state_ = State::kContent;
        } else {
          keep(marker);
          state_ = State::kSection;
        }
        break;
      case State::kName:
        keep(marker);
        function_ = trimmed(name_);
        state_ = State::kCall;
        break;
      case State::kCall:
        on_marker_in_call(marker);
        break;
      case State::kParameter:
        writer_.begin_value(trimmed(name_));
        state_ = State::kValue;
        break;
      case State::kValue:
        writer_.end_value();
        state_ = State::kCall;
        break;
    }
  }

  void on_marker_in_call(std::string_view marker) {
    if (!writing()) {
      if (!begin_call(function_)) {
        keep(marker);
        fail(0);
        return;
      }
      writer_.begin(tool(function_));
    }
    name_.clear();
    state_ = State::kParameter;
    if (marker == form_.parameter_open) return;
    writer_.end();
    end_call();
    state_ = State::kSection;
  }

  void on_end() override {
    if (state_ != State::kContent) break_off();
  }

  const XmlForm form_;
  ArgumentWriter writer_;
  std::vector<std::string_view> in_content_, in_section_, in_name_, in_call_, in_value_;
  State state_ = State::kContent;
  std::string name_;
  std::string function_;
};

}  // namespace

StagePtr make_qwen_coder(OutputSink& sink, const ToolList& tools) {
  static constexpr XmlForm kForm{.open = "<tool_call>", .close = "</tool_call>",
                                 .function_open = "<function=", .function_close = "</function>",
                                 .parameter_open = "<parameter=", .parameter_close = "</parameter>",
                                 .name_end = ">", .wrapped = true, .bare = true};
  return std::make_unique<XmlCalls>(sink, tools, kForm);
}

StagePtr make_seed(OutputSink& sink, const ToolList& tools) {
  static constexpr XmlForm kForm{.open = "<seed:tool_call>", .close = "</seed:tool_call>",
                                 .function_open = "<function=", .function_close = "</function>",
                                 .parameter_open = "<parameter=", .parameter_close = "</parameter>", .name_end = ">"};
  return std::make_unique<XmlCalls>(sink, tools, kForm);
}

StagePtr make_minimax(OutputSink& sink, const ToolList& tools) {
  static constexpr XmlForm kForm{.open = "<minimax:tool_call>", .close = "</minimax:tool_call>",
                                 .function_open = "<invoke name=\"", .function_close = "</invoke>",
                                 .parameter_open = "<parameter name=\"", .parameter_close = "</parameter>",
                                 .name_end = "\">"};
  return std::make_unique<XmlCalls>(sink, tools, kForm);
}

}  // namespace colonnade::engine
