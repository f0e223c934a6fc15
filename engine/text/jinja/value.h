// Values of templates: Python's None, bool, int, float, str, list, tuple, dict and iterators, Jinja's undefined, and
// objects (macros, loops, namespaces, functions). Cheap to copy; what they share is immutable, except iterators and
// objects.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "engine/text/jinja/budget.h"
#include "engine/text/jinja/marked_text.h"

namespace colonnade::engine::jinja {

struct String;
struct Sequence;
struct Dict;
struct Iterator;
class Object;

/// What stands for a value that is not there, with the message of an error that using it is.
struct Undefined {
  std::string message;
};

enum class Kind { kNone, kUndefined, kBool, kInt, kFloat, kString, kSequence, kDict, kIterator, kObject };

class Value {
 public:
  Value() = default;  // None
  static Value boolean(bool value) { return Value(Data(value)); }
  static Value integer(std::int64_t value) { return Value(Data(value)); }
  static Value real(double value) { return Value(Data(value)); }
  static Value undefined(std::string message) {
    return Value(Data(std::make_shared<const Undefined>(Undefined{std::move(message)})));
  }
  explicit Value(std::shared_ptr<const String> string) : data_(std::move(string)) {}
  explicit Value(std::shared_ptr<const Sequence> sequence) : data_(std::move(sequence)) {}
  explicit Value(std::shared_ptr<const Dict> dict) : data_(std::move(dict)) {}
  explicit Value(std::shared_ptr<Iterator> iterator) : data_(std::move(iterator)) {}
  explicit Value(std::shared_ptr<Object> object) : data_(std::move(object)) {}

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is(Kind kind_asked) const { return kind() == kind_asked; }
  bool is_none() const { return is(Kind::kNone); }
  bool is_undefined() const { return is(Kind::kUndefined); }
  bool is_string() const { return is(Kind::kString); }
  bool is_number() const { return is(Kind::kBool) || is(Kind::kInt) || is(Kind::kFloat); }
  bool is_integer() const { return is(Kind::kBool) || is(Kind::kInt); }  // as Python's isinstance(x, int)

  const Undefined& as_undefined() const { return *std::get<UndefinedPointer>(data_); }
  bool as_bool() const { return std::get<bool>(data_); }
  /// Of an int or bool.
  std::int64_t as_integer() const { return is(Kind::kBool) ? (as_bool() ? 1 : 0) : std::get<std::int64_t>(data_); }
  /// Of any number.
  double as_real() const { return is(Kind::kFloat) ? std::get<double>(data_) : static_cast<double>(as_integer()); }
  const MarkedText& as_text() const;
  bool is_markup() const;
  const std::shared_ptr<const Sequence>& as_sequence() const { return std::get<std::shared_ptr<const Sequence>>(data_); }
  const Dict& as_dict() const { return *std::get<std::shared_ptr<const Dict>>(data_); }
  Iterator& as_iterator() const { return *std::get<std::shared_ptr<Iterator>>(data_); }
  const std::shared_ptr<Object>& as_object() const { return std::get<std::shared_ptr<Object>>(data_); }

  /// Python's `is`.
  bool same_as(const Value& other) const { return data_ == other.data_; }
  /// How deep containers nest: 0 for what is none.
  int depth() const;

 private:
  using UndefinedPointer = std::shared_ptr<const Undefined>;
  using Data = std::variant<std::monostate, UndefinedPointer, bool, std::int64_t, double, std::shared_ptr<const String>,
                            std::shared_ptr<const Sequence>, std::shared_ptr<const Dict>, std::shared_ptr<Iterator>,
                            std::shared_ptr<Object>>;
  explicit Value(Data data) : data_(std::move(data)) {}

  Data data_;
};

using Values = std::vector<Value>;

struct String {
  MarkedText text;
  bool markup = false;  // markupsafe's Markup: what |safe and |escape give
  Charge charge;
};

/// All that is indexed and has a length, but for strings.
struct Sequence {
  enum class Type { kList, kTuple, kRange, kDictKeys, kDictValues, kDictItems, kGroup };  // kGroup: (grouper, list)
  Values items;
  Type type = Type::kList;
  std::int64_t range[3] = {0, 0, 1};  // of kRange: start, stop, step
  int depth = 1;
  Charge charge;
};

/// In order of insertion.
struct Dict {
  using Entry = std::pair<Value, Value>;
  std::vector<Entry> entries;
  std::unordered_multimap<std::size_t, std::size_t> index;  // hash → entry, when there are many
  int depth = 1;
  Charge charge;
};

/// Python's generators: every item once.
struct Iterator {
  std::shared_ptr<const Sequence> items;
  std::size_t next = 0;
  const char* type = "generator";
};

}  // namespace colonnade::engine::jinja
