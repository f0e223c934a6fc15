#include "engine/text/jinja/value.h"

#include "engine/base/format_text.h"
#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/letters.h"
#include "engine/text/jinja/object.h"

namespace colonnade::engine::jinja {

const MarkedText& Value::as_text() const { return std::get<std::shared_ptr<const String>>(data_)->text; }

bool Value::is_markup() const { return is_string() && std::get<std::shared_ptr<const String>>(data_)->markup; }

int Value::depth() const {
  switch (kind()) {
    case Kind::kSequence: return as_sequence()->depth;
    case Kind::kDict: return as_dict().depth;
    case Kind::kIterator: return as_iterator().items->depth;
    case Kind::kObject: return as_object()->depth();
    default: return 0;
  }
}

Value Object::call(Context&, Arguments&) { fail(text("'", type_name(), "' object is not callable")); }

std::optional<Value> Object::attribute(Context&, std::string_view) { return std::nullopt; }

void Object::set_attribute(Context&, const std::string&, Value) { fail("cannot assign attribute on non-namespace object"); }

std::string type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kNone: return "NoneType";
    case Kind::kUndefined: return "Undefined";
    case Kind::kBool: return "bool";
    case Kind::kInt: return "int";
    case Kind::kFloat: return "float";
    case Kind::kString: return value.is_markup() ? "Markup" : "str";
    case Kind::kSequence:
      switch (value.as_sequence()->type) {
        case Sequence::Type::kList: return "list";
        case Sequence::Type::kRange: return "range";
        case Sequence::Type::kDictKeys: return "dict_keys";
        case Sequence::Type::kDictValues: return "dict_values";
        case Sequence::Type::kDictItems: return "dict_items";
        default: return "tuple";
      }
    case Kind::kDict: return "dict";
    case Kind::kIterator: return value.as_iterator().type;
    default: return value.as_object()->type_name();
  }
}

bool truth(const Value& value) {
  switch (value.kind()) {
    case Kind::kNone:
    case Kind::kUndefined: return false;
    case Kind::kBool: return value.as_bool();
    case Kind::kInt: return value.as_integer() != 0;
    case Kind::kFloat: return value.as_real() != 0;
    case Kind::kString: return !value.as_text().empty();
    case Kind::kSequence: return !value.as_sequence()->items.empty();
    case Kind::kDict: return !value.as_dict().entries.empty();
    default: return true;
  }
}

bool has_length(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kSequence:
    case Kind::kDict: return true;
    default: return false;
  }
}

std::int64_t length_of(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined: return 0;
    case Kind::kString: return static_cast<std::int64_t>(count_letters(value.as_text().view()));
    case Kind::kSequence: return static_cast<std::int64_t>(value.as_sequence()->items.size());
    case Kind::kDict: return static_cast<std::int64_t>(value.as_dict().entries.size());
    default: fail(text("object of type '", type_name(value), "' has no len()"));
  }
}

}  // namespace colonnade::engine::jinja
