// The arguments of a call as JSON, from forms that write each argument as text of its own.
#pragma once

#include <string>
#include <string_view>

#include "engine/text/chat_output/call_stage.h"

namespace colonnade::engine {

/// A parameter that the request declares as a string is given on as it comes. Any other value is kept until it is whole:
/// JSON stays what it is, a Python literal becomes JSON, everything else is a string.
class ArgumentWriter {
 public:
  /// `wrapped`: the form puts a line end before and behind each value.
  ArgumentWriter(CallStage& calls, bool wrapped) : calls_(calls), wrapped_(wrapped) {}

  void begin(const ToolSignature* tool);  // nullptr: nothing is known of the function
  void begin_value(std::string_view name);
  void value(std::string_view piece);
  void end_value();
  void end();
  /// The stream ends within the value.
  void break_off() { calls_.arguments(value_); }

 private:
  void write_string(std::string_view piece);

  CallStage& calls_;
  const bool wrapped_;
  const ToolSignature* tool_ = nullptr;
  ParameterKind kind_ = ParameterKind::kUnknown;
  bool first_ = true;     // no argument yet
  bool at_start_ = true;  // of a value
  bool held_line_ = false;
  std::string value_;
};

}  // namespace colonnade::engine
