// Objects: listed properties in their order, then others where they are allowed.
#include <algorithm>

#include "engine/base/format_text.h"
#include "engine/text/grammar/regex.h"
#include "engine/text/grammar/schema_compiler.h"

namespace colonnade::engine {

Result<std::vector<SchemaCompiler::Member>> SchemaCompiler::members(const OrderedJson& schema, const std::string& pointer) {
  std::vector<Member> out;
  const OrderedJson required = schema.value("required", OrderedJson::array());
  if (!required.is_array()) return schema_error(ErrorCode::kInvalidArgument, pointer, "required", "must be a list of names");
  std::set<std::string> names;
  for (const OrderedJson& name : required) {
    if (!name.is_string()) return schema_error(ErrorCode::kInvalidArgument, pointer, "required", "must be a list of names");
    names.insert(name.get<std::string>());
  }
  const auto add = [&](const std::string& name, const OrderedJson& value, const std::string& place) -> Status {
    COLONNADE_ASSIGN(const GrammarExpr expr, this->schema(value, place));
    const bool is_required = names.erase(name) > 0;
    out.push_back({name, b_.sequence({json_.constant(name), json_.colon(), expr}), is_required});
    return {};
  };
  const OrderedJson properties = schema.value("properties", OrderedJson::object());
  if (!properties.is_object()) return schema_error(ErrorCode::kInvalidArgument, pointer, "properties", "must be an object");
  for (const auto& [name, value] : properties.items()) COLONNADE_TRY(add(name, value, below(below(pointer, "properties"), name)));
  // Required, but not listed: as additionalProperties says.
  const OrderedJson additional = schema.value("additionalProperties", OrderedJson(true));
  for (const OrderedJson& name : required) {
    if (names.count(name.get<std::string>()) == 0) continue;
    if (schema.contains("patternProperties")) return schema_error(ErrorCode::kUnsupported, pointer, "required", "of a name that is not in properties is not supported beside \"patternProperties\"");
    COLONNADE_TRY(add(name.get<std::string>(), additional, below(pointer, "additionalProperties")));
  }
  return out;
}

/// The name and value of a member that is not listed; nothing when there are none.
Result<std::optional<GrammarExpr>> SchemaCompiler::other_member(const OrderedJson& schema, const std::vector<Member>& listed, const std::string& pointer) {
  OrderedJson additional = schema.value("additionalProperties", OrderedJson());
  if (additional.is_null()) additional = schema.value("unevaluatedProperties", OrderedJson());
  if (schema.contains("patternProperties")) {
    const OrderedJson& patterns = schema["patternProperties"];
    if (!patterns.is_object()) return schema_error(ErrorCode::kInvalidArgument, pointer, "patternProperties", "must be an object");
    if (patterns.size() != 1 || !listed.empty() || schema.contains("propertyNames") || !(additional.is_null() || additional.is_boolean()))
      return schema_error(ErrorCode::kUnsupported, pointer, "patternProperties", "is supported with one pattern, without listed properties, propertyNames and a schema for others");
    const std::string pattern = patterns.begin().key();
    const OrderedJson& value = patterns.begin().value();
    const auto name = add_regex(b_, pattern, [&](const std::vector<CharRange>& ranges) { return json_.string_char(ranges); });
    if (!name.ok()) return schema_error(name.error().code, pointer, "patternProperties", name.error().message);
    COLONNADE_ASSIGN(const GrammarExpr expr, this->schema(value, below(below(pointer, "patternProperties"), pattern)));
    return std::optional(b_.sequence({json_.quoted(name->expr), json_.colon(), expr}));
  }
  if (additional.is_null()) additional = listed.empty();
  if (additional == false) {
    if (schema.contains("propertyNames") && !listed.empty()) return schema_error(ErrorCode::kUnsupported, pointer, "propertyNames", "is not supported beside listed properties");
    return std::optional<GrammarExpr>();
  }
  COLONNADE_ASSIGN(const GrammarExpr value, this->schema(additional, below(pointer, "additionalProperties")));
  if (schema.contains("propertyNames")) {
    if (!listed.empty()) return schema_error(ErrorCode::kUnsupported, pointer, "propertyNames", "is not supported beside listed properties");
    OrderedJson names = schema["propertyNames"];
    if (names.is_object()) names["type"] = "string";
    COLONNADE_ASSIGN(const GrammarExpr name, this->schema(names, below(pointer, "propertyNames")));
    return std::optional(b_.sequence({name, json_.colon(), value}));
  }
  if (listed.empty()) return std::optional(b_.sequence({json_.string(), json_.colon(), value}));
  std::vector<std::string> names;
  for (const Member& member : listed) names.push_back(member.name);
  return std::optional(b_.sequence({json_.string_except(names), json_.colon(), value}));
}

Result<GrammarExpr> SchemaCompiler::object(const OrderedJson& schema, const std::string& pointer) {
  COLONNADE_ASSIGN(const std::vector<Member> listed, members(schema, pointer));
  COLONNADE_ASSIGN(const std::optional<GrammarExpr> other, other_member(schema, listed, pointer));
  COLONNADE_ASSIGN(const int least, count(schema, "minProperties", 0, pointer));
  COLONNADE_ASSIGN(const int most, count(schema, "maxProperties", kUnbounded, pointer));
  const auto n_listed = static_cast<int>(listed.size());
  const auto n_required = static_cast<int>(std::count_if(listed.begin(), listed.end(), [](const Member& m) { return m.required; }));
  if (most != kUnbounded && most < std::max(least, n_required)) return b_.never();
  // Only where the listed ones do not vary in number can the others be counted.
  const bool counts = least > n_required || (most != kUnbounded && (other || most < n_listed));
  if (!counts) return object_of(listed, other, 0, kUnbounded);
  if (n_listed != n_required)
    return schema_error(ErrorCode::kUnsupported, pointer, least > n_required ? "minProperties" : "maxProperties", "is not supported with properties that may be left out");
  if (!other) return b_.never();
  return object_of(listed, other, std::max(least - n_required, 0), most == kUnbounded ? kUnbounded : most - n_required);
}

GrammarExpr SchemaCompiler::object_of(const std::vector<Member>& members, std::optional<GrammarExpr> other, int least_others, int most_others) {
  const auto first_required = static_cast<std::size_t>(
      std::find_if(members.begin(), members.end(), [](const Member& m) { return m.required; }) - members.begin());
  const bool may_be_empty = first_required == members.size() && least_others == 0;
  // What comes behind member i, each with its comma; used in several places as far as members may be left out.
  GrammarExpr rest = b_.empty();
  std::vector<GrammarExpr> ways;  // by the first member that is there
  std::optional<GrammarExpr> more;
  if (other && most_others != 0) {
    const GrammarExpr one = b_.use(b_.add_rule("other member", *other));
    more = b_.sequence({json_.comma(), one});
    rest = b_.repeat(*more, least_others, most_others);
    if (first_required == members.size())
      ways.push_back(b_.sequence({one, b_.repeat(*more, std::max(least_others - 1, 0), most_others == kUnbounded ? kUnbounded : most_others - 1)}));
  }
  for (std::size_t i = members.size(); i-- > 0;) {
    const bool shared = i <= first_required && first_required > 0;  // also used as a first member
    const GrammarExpr member = shared ? b_.use(b_.add_rule(members[i].name, members[i].expr)) : members[i].expr;
    if (shared) rest = b_.use(b_.add_rule("after " + members[i].name, rest));
    if (i <= first_required) ways.push_back(b_.sequence({member, rest}));
    const GrammarExpr with_comma = b_.sequence({json_.comma(), member});
    rest = b_.sequence({members[i].required ? with_comma : b_.optional(with_comma), rest});
  }
  std::reverse(ways.begin(), ways.end());
  GrammarExpr body = b_.sequence({b_.choice(ways), json_.space()});
  if (may_be_empty) body = b_.optional(body);
  return b_.sequence({b_.literal("{"), json_.space(), body, b_.literal("}")});
}

}  // namespace colonnade::engine
