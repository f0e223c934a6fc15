#include "engine/text/jinja/tests.h"

#include <cmath>
#include <map>

#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/filters.h"
#include "engine/text/jinja/operators.h"
#include "engine/text/jinja/print.h"
#include "engine/text/jinja/text_methods.h"

namespace colonnade::engine::jinja {
namespace {

bool remainder_is(Context& context, const Value& subject, const Value& by, std::int64_t wanted) {
  return equals(context, apply_operation(context, Operation::kModulo, subject, by), Value::integer(wanted));
}

bool is_iterable_object(const Value& value) {
  return is_iterable(value) || (value.is(Kind::kObject) && value.as_object()->type_name() == "LoopContext");
}

// Every test once under each of its names.
const Test kTests[] = {
    {{"defined", "", 0}, [](Context&, const Value& v, const Bound&) { return !v.is_undefined(); }},
    {{"undefined", "", 0}, [](Context&, const Value& v, const Bound&) { return v.is_undefined(); }},
    {{"none", "", 0}, [](Context&, const Value& v, const Bound&) { return v.is_none(); }},
    {{"boolean", "", 0}, [](Context&, const Value& v, const Bound&) { return v.is(Kind::kBool); }},
    {{"true", "", 0}, [](Context&, const Value& v, const Bound&) { return v.is(Kind::kBool) && v.as_bool(); }},
    {{"false", "", 0}, [](Context&, const Value& v, const Bound&) { return v.is(Kind::kBool) && !v.as_bool(); }},
    {{"integer", "", 0}, [](Context&, const Value& v, const Bound&) { return v.is(Kind::kInt); }},
    {{"float", "", 0}, [](Context&, const Value& v, const Bound&) { return v.is(Kind::kFloat); }},
    {{"number", "", 0}, [](Context&, const Value& v, const Bound&) { return v.is_number(); }},
    {{"string", "", 0}, [](Context&, const Value& v, const Bound&) { return v.is_string(); }},
    {{"mapping", "", 0}, [](Context&, const Value& v, const Bound&) { return v.is(Kind::kDict); }},
    {{"sequence", "", 0},
     [](Context&, const Value& v, const Bound&) {
       if (v.is(Kind::kSequence)) {
         const auto type = v.as_sequence()->type;
         return type != Sequence::Type::kDictKeys && type != Sequence::Type::kDictValues && type != Sequence::Type::kDictItems;
       }
       return v.is_string() || v.is(Kind::kDict) || v.is_undefined();
     }},
    {{"iterable", "", 0}, [](Context&, const Value& v, const Bound&) { return is_iterable_object(v); }},
    {{"callable", "", 0}, [](Context&, const Value& v, const Bound&) {
       return v.is_undefined() || (v.is(Kind::kObject) && v.as_object()->is_callable());
     }},
    {{"escaped", "", 0}, [](Context&, const Value& v, const Bound&) { return v.is_markup(); }},
    {{"lower", "", 0}, [](Context& c, const Value& v, const Bound&) { return is_lower_text(str_of(c, v).view()); }},
    {{"upper", "", 0}, [](Context& c, const Value& v, const Bound&) { return is_upper_text(str_of(c, v).view()); }},
    {{"odd", "", 0}, [](Context& c, const Value& v, const Bound&) { return remainder_is(c, v, Value::integer(2), 1); }},
    {{"even", "", 0}, [](Context& c, const Value& v, const Bound&) { return remainder_is(c, v, Value::integer(2), 0); }},
    {{"divisibleby", "num", 1}, [](Context& c, const Value& v, const Bound& a) { return remainder_is(c, v, a.at(0), 0); }},
    {{"sameas", "other", 1},
     [](Context&, const Value& v, const Bound& a) {
       return v.same_as(a.at(0)) || (v.is_undefined() && a.at(0).is_undefined() && &v.as_undefined() == &a.at(0).as_undefined());
     }},
    {{"filter", "", 0},
     [](Context&, const Value& v, const Bound&) { return v.is_string() && find_filter(v.as_text().view()) != nullptr; }},
    {{"test", "", 0},
     [](Context&, const Value& v, const Bound&) { return v.is_string() && find_test(v.as_text().view()) != nullptr; }},
    {{"in", "seq", 1}, [](Context& c, const Value& v, const Bound& a) { return contains(c, a.at(0), v); }},
    {{"eq", "other", 1}, [](Context& c, const Value& v, const Bound& a) { return equals(c, v, a.at(0)); }},
    {{"ne", "other", 1}, [](Context& c, const Value& v, const Bound& a) { return !equals(c, v, a.at(0)); }},
    {{"lt", "other", 1}, [](Context& c, const Value& v, const Bound& a) { return less(c, v, a.at(0), "<"); }},
    {{"gt", "other", 1}, [](Context& c, const Value& v, const Bound& a) { return less(c, a.at(0), v, ">"); }},
    {{"le", "other", 1}, [](Context& c, const Value& v, const Bound& a) { return compare_values(c, Comparison::kLessEqual, v, a.at(0)); }},
    {{"ge", "other", 1}, [](Context& c, const Value& v, const Bound& a) { return compare_values(c, Comparison::kGreaterEqual, v, a.at(0)); }},
};

constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {
    {"==", "eq"}, {"equalto", "eq"}, {"!=", "ne"}, {"<", "lt"}, {"lessthan", "lt"},
    {">", "gt"}, {"greaterthan", "gt"}, {"<=", "le"}, {">=", "ge"}};

}  // namespace

const Test* find_test(std::string_view name) {
  static const std::map<std::string_view, const Test*> kTable = [] {
    std::map<std::string_view, const Test*> table;
    for (const Test& test : kTests) table.emplace(test.signature.name, &test);
    for (const auto& [other, one] : kOtherNames) table.emplace(other, table.at(one));
    return table;
  }();
  const auto found = kTable.find(name);
  return found != kTable.end() ? found->second : nullptr;
}

bool apply_test(Context& context, const Test& test, const Value& subject, Arguments& arguments) {
  const Bound bound(context, test.signature, arguments);
  return test.apply(context, subject, bound);
}

}  // namespace colonnade::engine::jinja
