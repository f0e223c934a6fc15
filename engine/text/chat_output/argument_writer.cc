#include "engine/text/chat_output/argument_writer.h"

#include "engine/text/chat_output/json_scanner.h"
#include "engine/text/chat_output/python_literal.h"

namespace colonnade::engine {

void ArgumentWriter::begin(const ToolSignature* tool) {
  tool_ = tool;
  first_ = true;
}

void ArgumentWriter::begin_value(std::string_view name) {
  calls_.arguments(first_ ? "{\"" : ", \"");
  calls_.arguments(json_escaped(name));
  calls_.arguments("\": ");
  first_ = false;
  at_start_ = true;
  held_line_ = false;
  value_.clear();
  kind_ = ParameterKind::kUnknown;
  if (tool_ == nullptr) return;
  for (const ToolParameter& one : tool_->parameters) {
    if (one.name == name) kind_ = one.kind;
  }
}

void ArgumentWriter::write_string(std::string_view piece) {
  if (at_start_ && !piece.empty()) {
    calls_.arguments("\"");
    at_start_ = false;
    if (wrapped_ && piece.front() == '\n') piece.remove_prefix(1);
  }
  if (piece.empty()) return;
  if (held_line_) calls_.arguments("\\n");
  held_line_ = wrapped_ && piece.back() == '\n';
  if (held_line_) piece.remove_suffix(1);
  calls_.arguments(json_escaped(piece));
}

void ArgumentWriter::value(std::string_view piece) {
  if (kind_ == ParameterKind::kString) write_string(piece);
  else value_ += piece;
}

void ArgumentWriter::end_value() {
  if (kind_ != ParameterKind::kString) {
    std::optional<std::string> json = json_value(value_);
    if (!json) json = json_of_python(trimmed(value_));
    if (json) return calls_.arguments(*json);
    write_string(value_);
  }
  calls_.arguments(at_start_ ? "\"\"" : "\"");
}

void ArgumentWriter::end() { calls_.arguments(first_ ? "{}" : "}"); }

}  // namespace colonnade::engine
