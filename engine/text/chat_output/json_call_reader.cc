#include "engine/text/chat_output/json_call_reader.h"

#include <utility>

#include "engine/base/json.h"

namespace colonnade::engine {
namespace {

/// The text that a JSON string spells; "" for anything else.
std::string string_of(const std::string& json) {
  const Result<Json> value = parse_json(json, "a string");
  return value.ok() && value->is_string() ? value->get<std::string>() : std::string();
}

bool is_object(std::string_view json) {
  JsonScanner scanner;
  const std::string_view text = trimmed(json);
  if (!text.starts_with('{')) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto step = scanner.push(text[i]);
    if (step != JsonScanner::Step::kMore) return step == JsonScanner::Step::kEnd && i + 1 == text.size();
  }
  return false;
}

}  // namespace

void JsonCallReader::reset_object() {
  name_.clear();
  id_.clear();
  arguments_.clear();
  key_.clear();
}

JsonCallReader::Field JsonCallReader::field_of(std::string_view key) const {
  if (rules_.name_is_key) return Field::kArguments;
  if (key == "name" || key == "tool_name") return Field::kName;
  if (key == "arguments" || key == "parameters") return Field::kArguments;
  if (key == "id" || key == "tool_call_id") return Field::kId;
  return Field::kOther;
}

bool JsonCallReader::begin_call() {
  if (rules_.known_names_only && calls_.tool(name_) == nullptr) return false;
  return calls_.begin_call(name_, std::exchange(id_, {}));
}

JsonCallReader::Step JsonCallReader::push(char c) {
  const Step result = step(c);
  if (result == Step::kMore) return result;
  reset_object();
  state_ = State::kStart;
  in_list_ = false;
  return result;
}

JsonCallReader::Step JsonCallReader::step(char c) {
  if (state_ == State::kValue) return push_value(c);
  if (state_ == State::kInKey) {
    if (c == '"') state_ = State::kColon;
    else key_ += c;
    return c == '\\' || key_.size() > CallStage::kMaxNameBytes ? Step::kBroken : Step::kMore;
  }
  if (is_blank(c)) return Step::kMore;
  switch (state_) {
    case State::kStart:
      if (c == '[') {
        in_list_ = true;
        state_ = State::kItemOrEnd;
        return Step::kMore;
      }
      [[fallthrough]];
    case State::kItem:
    case State::kItemOrEnd:
      if (c == ']' && state_ == State::kItemOrEnd) return Step::kDone;
      state_ = State::kKeyOrEnd;
      return c == '{' ? Step::kMore : Step::kBroken;
    case State::kKeyOrEnd:
      if (c == '}') return end_object();
      [[fallthrough]];
    case State::kKey:
      state_ = State::kInKey;
      if (rules_.name_is_key && !key_.empty()) return Step::kBroken;
      key_.clear();
      return c == '"' ? Step::kMore : Step::kBroken;
    case State::kColon:
      state_ = State::kBeforeValue;
      return c == ':' ? Step::kMore : Step::kBroken;
    case State::kBeforeValue:
      return begin_value(c) ? push_value(c) : Step::kBroken;
    case State::kNext:
      if (c == '}') return end_object();
      state_ = State::kKey;
      return c == ',' ? Step::kMore : Step::kBroken;
    case State::kNextItem:
      if (c == ']') return Step::kDone;
      state_ = State::kItem;
      return c == ',' ? Step::kMore : Step::kBroken;
    case State::kInKey:
    case State::kValue:
      break;  // above
  }
  return Step::kBroken;
}

bool JsonCallReader::begin_value(char c) {
  state_ = State::kValue;
  scanner_ = {};
  value_.clear();
  field_ = field_of(key_);
  streams_ = false;
  if (field_ != Field::kArguments) return true;
  if (calls_.writing()) return false;  // arguments twice
  if (rules_.name_is_key) name_ = key_;
  if (c == '{' && !name_.empty()) {
    if (!begin_call()) return false;
    streams_ = true;
  }
  // A string may have the object spelled in it, null stands for none.
  return c == '{' || c == '"' || c == 'n';
}

JsonCallReader::Step JsonCallReader::push_value(char c) {
  const bool in_string = scanner_.in_string();
  const JsonScanner::Step scanned = scanner_.push(c);
  if (scanned == JsonScanner::Step::kBroken) return Step::kBroken;
  if (scanned == JsonScanner::Step::kEndBefore) return end_value() ? step(c) : Step::kBroken;
  if (streams_) {
    std::string piece;
    append_json_character(piece, c, in_string);
    calls_.arguments(piece);
  } else {
    append_json_character(value_, c, in_string);
  }
  return scanned != JsonScanner::Step::kEnd || end_value() ? Step::kMore : Step::kBroken;
}

bool JsonCallReader::end_value() {
  state_ = State::kNext;
  switch (field_) {
    case Field::kName:
      if (!name_.empty()) return false;
      name_ = string_of(value_);
      if (!CallStage::is_name(name_)) return false;
      if (arguments_.empty()) return true;
      if (!begin_call()) return false;
      calls_.arguments(arguments_);
      return true;
    case Field::kId:
      id_ = string_of(value_);
      return true;
    case Field::kArguments:
      if (streams_) return true;
      arguments_ = value_.front() == '"' ? string_of(value_) : value_ == "null" ? "{}" : value_;
      if (!is_object(arguments_)) return false;
      if (name_.empty()) return true;
      if (!begin_call()) return false;
      calls_.arguments(arguments_);
      return true;
    case Field::kOther:
      return true;
  }
  return false;
}

JsonCallReader::Step JsonCallReader::end_object() {
  if (!calls_.writing()) {  // a function without arguments
    if (name_.empty() || !begin_call()) return Step::kBroken;
    calls_.arguments("{}");
  }
  calls_.end_call();
  reset_object();
  state_ = State::kNextItem;
  return in_list_ ? Step::kMore : Step::kDone;
}

}  // namespace colonnade::engine
