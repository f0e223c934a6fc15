#include "engine/text/chat_output/output_sink.h"

namespace colonnade::engine {

using Kind = OutputEvent::Kind;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

void OutputSink::emit(Kind kind, std::string_view text) {
  if (text.empty()) return;
  if (events_.empty() || events_.back().kind != kind) events_.push_back({.kind = kind});
  events_.back().text += text;
}

void OutputSink::put(Kind kind, std::string_view text) {
  if (kind != kind_) {
    emit(kind_, std::exchange(held_, {}));
    kind_ = kind;
  }
  if (at_boundary_) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  }
  if (text.empty()) return;
  at_boundary_ = false;
  std::size_t end = text.size();
  while (end > 0 && is_blank(text[end - 1])) --end;
  if (end > 0) {
    emit(kind, std::exchange(held_, {}));
    emit(kind, text.substr(0, end));
  }
  held_ += text.substr(end);
}

void OutputSink::begin_call(std::string name, std::string id) {
  boundary();
  events_.push_back({.kind = Kind::kCallBegin, .text = std::move(name), .id = std::move(id)});
}

void OutputSink::arguments(std::string_view fragment) { emit(Kind::kArguments, fragment); }

void OutputSink::end_call() {
  events_.push_back({.kind = Kind::kCallEnd});
  boundary();
}

void OutputSink::boundary() {
  held_.clear();
  at_boundary_ = true;
}

void OutputSink::finish() { emit(kind_, std::exchange(held_, {})); }

}  // namespace colonnade::engine
