// Forms that put JSON between markers: Hermes (also Qwen), Nemotron, Apriel, Apertus, Granite, Command R, GigaChat.
#include "engine/text/chat_output/forms.h"
#include "engine/text/chat_output/json_call_reader.h"

namespace colonnade::engine {
namespace {

struct JsonForm {
  std::vector<std::string_view> open;
  std::vector<std::string_view> close = {};
  // Between `open` and the calls, where a form has it: this text and then this marker.
  std::string_view role = {};
  std::vector<std::string_view> role_end = {};
  JsonCallReader::Rules rules = {};
};

class JsonCalls final : public CallStage {
 public:
  JsonCalls(OutputSink& output, const ToolList& tools, JsonForm form)
      : CallStage(output, tools), form_(std::move(form)), reader_(*this, form_.rules), after_(form_.close) {
    after_.insert(after_.end(), form_.open.begin(), form_.open.end());
  }

  bool opens_call(std::string_view spelling) const override {
    return form_.role.empty() && std::find(form_.open.begin(), form_.open.end(), spelling) != form_.open.end();
  }

 private:
  enum class State { kContent, kRole, kJson, kAfter };

  Markers markers() const override {
    switch (state_) {
      case State::kContent:
        return form_.open;
      case State::kRole:
        return form_.role_end;
      case State::kJson:
        return {};  // a JSON string may hold anything
      case State::kAfter:
        return after_;
    }
    return {};
  }

  std::size_t on_text(std::string_view text) override {
    switch (state_) {
      case State::kContent:
        sink().content(text);
        return text.size();
      case State::kRole:
        return read_role(text);
      case State::kJson:
        return read_json(text);
      case State::kAfter:
        for (std::size_t i = 0; i < text.size(); ++i) {
          if (is_blank(text[i])) continue;
          state_ = State::kContent;
          return i;
        }
        return text.size();
    }
    return text.size();
  }

  std::size_t read_role(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      role_ += text[i];
      if (!form_.role.starts_with(trimmed(role_))) {
        give_up();
        state_ = State::kContent;
        return i;
      }
      keep(text.substr(i, 1));
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
      state_ = State::kAfter;
      return i + 1;
    }
    return text.size();
  }

  void on_marker(std::string_view marker) override {
    if (state_ == State::kRole && trimmed(role_) != form_.role) {
      keep(marker);
      give_up();
      state_ = State::kContent;
    } else if (state_ == State::kAfter && std::find(form_.close.begin(), form_.close.end(), marker) != form_.close.end()) {
      sink().boundary();
      state_ = State::kContent;
    } else {
      keep(marker);
      state_ = state_ != State::kRole && !form_.role.empty() ? State::kRole : State::kJson;
      role_.clear();
    }
  }

  void on_end() override {
    if (state_ == State::kRole && trimmed(role_).empty()) return sink().boundary();  // the marker of every message's end
    if (state_ == State::kRole || state_ == State::kJson) give_up();
  }

  const JsonForm form_;
  JsonCallReader reader_;
  State state_ = State::kContent;
  std::vector<std::string_view> after_;
  std::string role_;
};

}  // namespace

StagePtr make_hermes(OutputSink& sink, const ToolList& tools) {
  return std::make_unique<JsonCalls>(sink, tools, JsonForm{.open = {"<tool_call>"}, .close = {"</tool_call>"}});
}

StagePtr make_nemotron(OutputSink& sink, const ToolList& tools) {
  return std::make_unique<JsonCalls>(sink, tools, JsonForm{.open = {"<TOOLCALL>"}, .close = {"</TOOLCALL>"}});
}

StagePtr make_apriel(OutputSink& sink, const ToolList& tools) {
  return std::make_unique<JsonCalls>(sink, tools, JsonForm{.open = {"<tool_calls>"}, .close = {"</tool_calls>"}});
}

StagePtr make_apertus(OutputSink& sink, const ToolList& tools) {
  return std::make_unique<JsonCalls>(
      sink, tools, JsonForm{.open = {"<|tools_prefix|>"}, .close = {"<|tools_suffix|>"}, .rules = {.name_is_key = true}});
}

StagePtr make_granite(OutputSink& sink, const ToolList& tools) {
  return std::make_unique<JsonCalls>(
      sink, tools, JsonForm{.open = {"<|tool_call|>", "<tool_call>"}, .close = {"<|/tool_call|>", "</tool_call>"}});
}

StagePtr make_command_r(OutputSink& sink, const ToolList& tools) {
  return std::make_unique<JsonCalls>(sink, tools, JsonForm{.open = {"Action:\n```json\n", "Action: ```json\n", "<|START_ACTION|>"},
                                                           .close = {"```", "<|END_ACTION|>"}});
}

StagePtr make_gigachat(OutputSink& sink, const ToolList& tools) {
  return std::make_unique<JsonCalls>(
      sink, tools, JsonForm{.open = {"<|message_sep|>"}, .role = "function call", .role_end = {"<|role_sep|>"}});
}

}  // namespace colonnade::engine
