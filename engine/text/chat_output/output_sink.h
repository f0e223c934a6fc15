// Where the stages of an output parser put what they find: joins neighbours and drops white space around markers.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "engine/text/chat_output/chat_output.h"

namespace colonnade::engine {

class OutputSink {
 public:
  void content(std::string_view text) { put(OutputEvent::Kind::kContent, text); }
  void reasoning(std::string_view text) { put(OutputEvent::Kind::kReasoning, text); }
  void begin_call(std::string name, std::string id);
  void arguments(std::string_view fragment);
  void end_call();
  /// Something ended or begins here: white space next to it means nothing.
  void boundary();
  /// White space that was held back because a boundary might have followed.
  void finish();

  OutputEvents take() { return std::exchange(events_, {}); }

 private:
  void put(OutputEvent::Kind kind, std::string_view text);
  void emit(OutputEvent::Kind kind, std::string_view text);

  OutputEvents events_;
  OutputEvent::Kind kind_ = OutputEvent::Kind::kContent;  // of held_
  std::string held_;                                      // white space at the end of the text so far
  bool at_boundary_ = false;
};

/// What JSON, and every family, calls white space.
constexpr bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
std::string_view trimmed(std::string_view text);

}  // namespace colonnade::engine
