// A call written as a JSON object, or several as a list of them, read one character after another.
#pragma once

#include <string>
#include <string_view>

#include "engine/text/chat_output/call_stage.h"
#include "engine/text/chat_output/json_scanner.h"

namespace colonnade::engine {

/// {"name": NAME, "arguments": {…}} in any order of keys, also "tool_name", "parameters", and an id; other keys mean nothing.
/// Arguments are given on as they come once the name is known.
class JsonCallReader {
 public:
  struct Rules {
    bool name_is_key = false;  // {NAME: {…}}
    bool known_names_only = false;
  };
  JsonCallReader(CallStage& calls, Rules rules) : calls_(calls), rules_(rules) {}

  enum class Step {
    kMore,
    kDone,    // the object or the list is complete with this character
    kBroken,  // it is none; the character is not taken
  };
  /// After kDone and kBroken the next one may begin.
  Step push(char c);

 private:
  enum class State { kStart, kItem, kItemOrEnd, kKeyOrEnd, kKey, kInKey, kColon, kBeforeValue, kValue, kNext, kNextItem };
  enum class Field { kName, kArguments, kId, kOther };

  Step step(char c);
  bool begin_value(char c);
  Step push_value(char c);
  bool end_value();
  Step end_object();
  bool begin_call();
  Field field_of(std::string_view key) const;
  void reset_object();

  CallStage& calls_;
  const Rules rules_;
  State state_ = State::kStart;
  bool in_list_ = false;
  JsonScanner scanner_;
  Field field_ = Field::kOther;
  std::string key_;
  std::string value_;      // of the field, as it is read
  bool streams_ = false;   // the value is arguments that are given on at once
  std::string name_;
  std::string id_;
  std::string arguments_;  // read before the name
};

}  // namespace colonnade::engine
