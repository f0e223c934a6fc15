// GLM 4.5 and later: <tool_call>NAME, then <arg_key>K</arg_key> <arg_value>V</arg_value> for each argument, </tool_call>.
#include "engine/text/chat_output/argument_writer.h"
#include "engine/text/chat_output/forms.h"

namespace colonnade::engine {
namespace {

constexpr std::string_view kOpen[] = {"<tool_call>"};
constexpr std::string_view kInCall[] = {"<arg_key>", "</tool_call>"};
constexpr std::string_view kKeyEnd[] = {"</arg_key>"};
constexpr std::string_view kValueOpen[] = {"<arg_value>"};
constexpr std::string_view kValueEnd[] = {"</arg_value>"};

class Glm final : public CallStage {
 public:
  Glm(OutputSink& output, const ToolList& tools) : CallStage(output, tools), writer_(*this, false) {}

  bool opens_call(std::string_view spelling) const override { return spelling == kOpen[0]; }

 private:
  enum class State { kContent, kName, kKey, kBeforeValue, kValue, kCall };

  Markers markers() const override {
    switch (state_) {
      case State::kContent:
        return kOpen;
      case State::kName:
      case State::kCall:
        return kInCall;
      case State::kKey:
        return kKeyEnd;
      case State::kBeforeValue:
        return kValueOpen;
      case State::kValue:
        return kValueEnd;
    }
    return {};
  }

  std::size_t on_text(std::string_view text) override {
    if (state_ == State::kContent) {
      sink().content(text);
      return text.size();
    }
    if (state_ == State::kValue) {
      writer_.value(text);
      return text.size();
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool named = state_ == State::kName || state_ == State::kKey;
      if (named ? name_.size() > kMaxNameBytes : !is_blank(text[i])) return fail(i);
      keep(text.substr(i, 1));
      name_ += text[i];
      if (state_ == State::kKey || state_ == State::kBeforeValue) in_argument_ += text[i];
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
    if (state_ == State::kValue) writer_.break_off();
    give_up();
    sink().content(in_argument_);
    in_argument_.clear();
  }

  void on_marker(std::string_view marker) override {
    switch (state_) {
      case State::kContent:
        keep(marker);
        state_ = State::kName;
        break;
      case State::kName:
      case State::kCall:
        if (!writing() && !begin()) {
          keep(marker);
          fail(0);
        } else if (marker == kInCall[0]) {
          in_argument_ = marker;
          state_ = State::kKey;
        } else {
          writer_.end();
          end_call();
          state_ = State::kContent;
        }
        break;
      case State::kKey:
        in_argument_ += marker;
        key_ = trimmed(name_);
        state_ = State::kBeforeValue;
        break;
      case State::kBeforeValue:
        in_argument_.clear();
        writer_.begin_value(key_);
        state_ = State::kValue;
        break;
      case State::kValue:
        writer_.end_value();
        state_ = State::kCall;
        break;
    }
    name_.clear();
  }

  bool begin() {
    const std::string_view name = trimmed(name_);
    if (!begin_call(name)) return false;
    writer_.begin(tool(name));
    return true;
  }

  void on_end() override {
    if (state_ != State::kContent) break_off();
  }

  ArgumentWriter writer_;
  State state_ = State::kContent;
  std::string name_;
  std::string key_;
  std::string in_argument_;  // markers and name of an argument whose value has not come yet
};

}  // namespace

StagePtr make_glm(OutputSink& sink, const ToolList& tools) { return std::make_unique<Glm>(sink, tools); }

}  // namespace colonnade::engine
