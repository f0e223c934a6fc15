#include "tests/engine/text/chat_output/read_output.h"

#include <algorithm>
#include <ostream>
#include <stdexcept>

namespace colonnade::tests {
namespace {

using engine::OutputEvent;

struct Gathering {
  ReadMessage message;
  bool open = false;

  void take(const engine::OutputEvents& events) {
    for (const OutputEvent& event : events) {
      switch (event.kind) {
        case OutputEvent::Kind::kContent:
          message.content += event.text;
          break;
        case OutputEvent::Kind::kReasoning:
          message.reasoning += event.text;
          break;
        case OutputEvent::Kind::kCallBegin:
          if (open) throw std::logic_error("a call within a call");
          open = true;
          message.calls.push_back({event.text, "", event.id});
          break;
        case OutputEvent::Kind::kArguments:
          if (!open) throw std::logic_error("arguments outside of a call");
          message.calls.back().arguments += event.text;
          break;
        case OutputEvent::Kind::kCallEnd:
          if (!open) throw std::logic_error("the end of no call");
          open = false;
          break;
      }
    }
  }
};

void push(engine::OutputParser& parser, Gathering& gathering, std::string_view piece, const std::vector<std::string>& specials) {
  while (!piece.empty()) {
    std::size_t at = std::string_view::npos;
    std::string_view found;
    for (const std::string& special : specials) {
      if (const std::size_t place = piece.find(special); place < at) {
        at = place;
        found = special;
      }
    }
    if (const std::string_view text = piece.substr(0, at); !text.empty()) gathering.take(parser.push_text(text));
    if (at == std::string_view::npos) return;
    gathering.take(parser.push_special(found));
    piece.remove_prefix(at + found.size());
  }
}

}  // namespace

ReadMessage read_output_cut(const engine::OutputFormat& format, const engine::OutputOptions& options, std::string_view output,
                            std::size_t cut, const std::vector<std::string>& specials) {
  const auto parser = engine::make_output_parser(format, options);
  Gathering gathering;
  push(*parser, gathering, output.substr(0, cut), specials);
  push(*parser, gathering, output.substr(cut), specials);
  gathering.take(parser->finish());
  if (gathering.open) throw std::logic_error("a call without an end");
  return gathering.message;
}

ReadMessage read_output(const engine::OutputFormat& format, const engine::OutputOptions& options, std::string_view output) {
  return read_output_cut(format, options, output, output.size());
}

std::string shown(const ReadMessage& message) {
  std::string out = "reasoning \"" + message.reasoning + "\" content \"" + message.content + "\"";
  for (const ReadCall& call : message.calls) out += " call " + call.name + "(" + call.arguments + ") id \"" + call.id + "\"";
  return out;
}

std::ostream& operator<<(std::ostream& out, const ReadMessage& message) { return out << shown(message); }

std::vector<std::string> special_spellings(std::string_view output) {
  static constexpr std::string_view kForms[][2] = {{"<|", "|>"}, {"<｜", "｜>"}, {"[", "]"}};
  std::vector<std::string> found;
  for (const auto& [open, close] : kForms) {
    for (std::size_t at = output.find(open); at != std::string_view::npos; at = output.find(open, at + 1)) {
      const std::size_t end = output.find(close, at + open.size());
      if (end == std::string_view::npos) break;
      const std::string_view inside = output.substr(at + open.size(), end - at - open.size());
      const auto fits = [&](char c) {
        const bool upper = (c >= 'A' && c <= 'Z') || c == '_' || c == '/';
        return upper || (open != "[" && c != ' ' && c != '<' && c != '\n');
      };
      if (!inside.empty() && std::all_of(inside.begin(), inside.end(), fits)) found.emplace_back(output.substr(at, end + close.size() - at));
    }
  }
  return found;
}

}  // namespace colonnade::tests
