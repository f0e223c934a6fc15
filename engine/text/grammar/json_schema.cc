#include "engine/text/grammar/json_schema.h"

#include <algorithm>
#include <functional>

#include "engine/base/format_text.h"
#include "engine/text/grammar/schema_compiler.h"

namespace colonnade::engine {
namespace {

constexpr std::size_t kMaxBuilt = 8000000;

constexpr const char* kTypes[] = {"object", "array", "string", "number", "integer", "boolean", "null"};

/// Keywords that are about values of one type, and so tell the type where "type" is missing.
constexpr std::pair<const char*, const char*> kKeywordTypes[] = {
    {"properties", "object"},    {"required", "object"},         {"additionalProperties", "object"}, {"patternProperties", "object"},
    {"minProperties", "object"}, {"maxProperties", "object"},    {"propertyNames", "object"},        {"unevaluatedProperties", "object"},
    {"items", "array"},          {"prefixItems", "array"},       {"minItems", "array"},              {"maxItems", "array"},
    {"uniqueItems", "array"},    {"additionalItems", "array"},   {"unevaluatedItems", "array"},      {"minLength", "string"},
    {"maxLength", "string"},     {"pattern", "string"},          {"format", "string"},               {"minimum", "number"},
    {"maximum", "number"},       {"exclusiveMinimum", "number"}, {"exclusiveMaximum", "number"},     {"multipleOf", "number"}};

constexpr const char* kRefused[] = {"not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies", "contains",
                                    "minContains", "maxContains", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"};

bool is_of_type(const OrderedJson& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "number") return value.is_number();
  if (type == "integer") return value.is_number_integer() || (value.is_number_float() && value.get<double>() == static_cast<double>(static_cast<std::int64_t>(std::clamp(value.get<double>(), -9e18, 9e18))));
  if (type == "boolean") return value.is_boolean();
  return value.is_null();
}

}  // namespace

Result<GrammarExpr> SchemaCompiler::run() {
  COLONNADE_ASSIGN(const GrammarExpr root, reference("#", "#"));
  while (!waiting_.empty()) {
    const Referred next = waiting_.back();
    waiting_.pop_back();
    current_ = next.rule;
    COLONNADE_ASSIGN(const GrammarExpr body, schema(*next.schema, next.pointer));
    b_.define(next.rule, body);
  }
  COLONNADE_TRY(find_circles());
  return root;
}

Result<GrammarExpr> SchemaCompiler::reference(const std::string& target, const std::string& pointer) {
  const auto [place, is_new] = by_pointer_.try_emplace(target, 0);
  if (is_new) {
    COLONNADE_ASSIGN(const OrderedJson* const schema, resolve_reference(root_, target, pointer));
    place->second = b_.declare(target);
    pointers_[place->second] = target;
    waiting_.push_back({schema, target, place->second});
  }
  if (inside_ == 0 && current_ >= 0) begins_with_[current_].push_back(place->second);
  return b_.use(place->second);
}

Status SchemaCompiler::find_circles() const {
  std::map<GrammarRule, int> state;  // 1: on the way, 2: done
  std::vector<std::pair<GrammarRule, std::size_t>> path;
  for (const auto& [start, ignored] : begins_with_) {
    path.emplace_back(start, 0);
    while (!path.empty()) {
      auto& [rule, next] = path.back();
      const auto found = begins_with_.find(rule);
      if (next == 0 && state[rule] == 2) {
        path.pop_back();
        continue;
      }
      state[rule] = 1;
      if (found == begins_with_.end() || next == found->second.size()) {
        state[rule] = 2;
        path.pop_back();
        continue;
      }
      const GrammarRule to = found->second[next++];
      if (state[to] == 1) return schema_error(ErrorCode::kInvalidArgument, pointers_.at(to), "$ref", "leads back here without any value between");
      if (state[to] == 0) path.emplace_back(to, 0);
    }
  }
  return {};
}

Result<GrammarExpr> SchemaCompiler::schema(const OrderedJson& schema, const std::string& pointer) {
  if (schema == true) return json_.value();
  if (schema == false) return b_.never();
  if (!schema.is_object())
    return Error{ErrorCode::kInvalidArgument, text("JSON schema at ", pointer, ": expected an object, true or false, found ", schema.type_name())};
  if (budget_.values == 0 || b_.size() > kMaxBuilt)
    return Error{ErrorCode::kExhausted, text("JSON schema at ", pointer, ": the schema is too large")};
  --budget_.values;
  int n_limits = 0;  // keywords that allow less
  const std::string* only = nullptr;
  for (const auto& [key, value] : schema.items()) {
    if (is_annotation(key)) continue;
    ++n_limits;
    only = &key;
  }
  const bool combines = schema.contains("$ref") || schema.contains("allOf") || schema.contains("anyOf") || schema.contains("oneOf");
  if (!combines) return plain(schema, pointer);
  if (n_limits > 1) return combined(schema, pointer);
  // One of them alone needs no combining, so recursion stays recursion.
  const std::string key = *only;
  const OrderedJson& value = schema[key];
  if (key == "$ref") {
    if (!value.is_string()) return schema_error(ErrorCode::kInvalidArgument, pointer, key, "must be a string");
    return reference(value.get<std::string>(), pointer);
  }
  if (!value.is_array() || value.empty()) return schema_error(ErrorCode::kInvalidArgument, pointer, key, "must be a list that is not empty");
  if (key == "allOf") return value.size() == 1 ? this->schema(value[0], below(below(pointer, key), "0")) : combined(schema, pointer);
  std::vector<GrammarExpr> ways;
  for (std::size_t i = 0; i < value.size(); ++i) {
    COLONNADE_ASSIGN(const GrammarExpr way, this->schema(value[i], below(below(pointer, key), std::to_string(i))));
    ways.push_back(way);
  }
  return b_.choice(ways);
}

Result<GrammarExpr> SchemaCompiler::combined(const OrderedJson& schema, const std::string& pointer) {
  COLONNADE_TRY(budget_.spend(schema, pointer));
  COLONNADE_ASSIGN(const std::vector<OrderedJson> alternatives, merger_.alternatives(schema, pointer));
  std::vector<GrammarExpr> ways;
  for (const OrderedJson& alternative : alternatives) {
    // A rule for each, found again by what it says: combining recursive schemas comes to an end.
    const auto [place, is_new] = by_text_.try_emplace(alternative.dump(-1, ' ', false, OrderedJson::error_handler_t::replace), 0);
    if (is_new) {
      const GrammarRule rule = place->second = b_.declare(pointer);
      pointers_[rule] = pointer;
      const GrammarRule outer = std::exchange(current_, rule);
      const int inside = std::exchange(inside_, 0);
      COLONNADE_ASSIGN(const GrammarExpr body, this->schema(alternative, pointer));
      b_.define(rule, body);
      current_ = outer;
      inside_ = inside;
    }
    if (inside_ == 0) begins_with_[current_].push_back(place->second);
    ways.push_back(b_.use(place->second));
  }
  return b_.choice(ways);
}

Result<GrammarExpr> SchemaCompiler::plain(const OrderedJson& schema, const std::string& pointer) {
  for (const char* key : kRefused)
    if (schema.contains(key)) return schema_error(ErrorCode::kUnsupported, pointer, key, "is not supported");
  std::vector<std::string> types;
  if (const auto type = schema.find("type"); type != schema.end()) {
    const OrderedJson list = type->is_array() ? *type : OrderedJson::array({*type});
    for (const OrderedJson& one : list) {
      if (!one.is_string() || std::find(std::begin(kTypes), std::end(kTypes), one.get<std::string>()) == std::end(kTypes))
        return schema_error(ErrorCode::kInvalidArgument, pointer, "type", text("must be of object, array, string, number, integer, boolean and null, found ", one.dump().substr(0, 60)));
      types.push_back(one.get<std::string>());
    }
    const auto has = [&](const char* name) { return std::find(types.begin(), types.end(), name) != types.end(); };
    if (has("number")) std::erase(types, "integer");  // is a number, too
    if (schema.value("nullable", OrderedJson(false)) == true && !has("null")) types.emplace_back("null");
  }
  if (schema.contains("const") || schema.contains("enum")) return constants(schema, pointer);
  if (!schema.contains("type")) {
    std::set<std::string> told;
    for (const auto& [keyword, type] : kKeywordTypes)
      if (schema.contains(keyword)) told.insert(type);
    if (told.empty()) return json_.value();
    types.assign(told.begin(), told.end());
  }
  std::vector<GrammarExpr> ways;
  for (const std::string& type : types) {
    COLONNADE_ASSIGN(const GrammarExpr way, of_type(type, schema, pointer));
    ways.push_back(way);
  }
  return ways.size() == 1 ? ways[0] : b_.choice(ways);
}

Result<GrammarExpr> SchemaCompiler::of_type(const std::string& type, const OrderedJson& schema, const std::string& pointer) {
  if (type == "string") return string(schema, pointer);
  if (type == "number" || type == "integer") return number(type == "integer", schema, pointer);
  if (type == "boolean") return b_.choice({b_.literal("true"), b_.literal("false")});
  if (type == "null") return b_.literal("null");
  ++inside_;
  auto result = type == "object" ? object(schema, pointer) : array(schema, pointer);
  --inside_;
  return result;
}

Result<GrammarExpr> SchemaCompiler::constants(const OrderedJson& schema, const std::string& pointer) {
  const char* keyword = schema.contains("enum") ? "enum" : "const";
  for (const auto& [key, type] : kKeywordTypes)
    if (schema.contains(key)) return schema_error(ErrorCode::kUnsupported, pointer, key, text("is not supported beside \"", keyword, "\""));
  OrderedJson values = OrderedJson::array();
  if (schema.contains("enum")) {
    values = schema["enum"];
    if (!values.is_array()) return schema_error(ErrorCode::kInvalidArgument, pointer, "enum", "must be a list");
  } else {
    values.push_back(schema["const"]);
  }
  const OrderedJson type = schema.value("type", OrderedJson());
  const OrderedJson types = type.is_array() ? type : OrderedJson::array({type});
  const bool nullable = schema.value("nullable", OrderedJson(false)) == true;
  std::vector<GrammarExpr> ways;
  for (const OrderedJson& value : values) {
    if (schema.contains("const") && value != schema["const"]) continue;
    bool fits = type.is_null() || (nullable && value.is_null());
    for (const OrderedJson& one : types) fits = fits || (one.is_string() && is_of_type(value, one.get<std::string>()));
    if (fits) ways.push_back(json_.constant(value));
  }
  return b_.choice(ways);
}

Result<int> SchemaCompiler::count(const OrderedJson& schema, const char* keyword, int otherwise, const std::string& pointer) const {
  constexpr double kMost = 20000;
  const auto found = schema.find(keyword);
  if (found == schema.end()) return otherwise;
  if (!found->is_number() || found->get<double>() < 0) return schema_error(ErrorCode::kInvalidArgument, pointer, keyword, "must be a number that is not negative");
  const double value = found->get<double>();
  if (value > kMost) return schema_error(ErrorCode::kUnsupported, pointer, keyword, text("must be at most ", kMost, ", found ", value));
  if (value != static_cast<double>(static_cast<int>(value))) return schema_error(ErrorCode::kInvalidArgument, pointer, keyword, text("must be a whole number, found ", value));
  return static_cast<int>(value);
}

Status SchemaCompiler::refuse(const OrderedJson& schema, std::initializer_list<const char*> keywords, const std::string& pointer, const char* why) {
  for (const char* keyword : keywords)
    if (schema.contains(keyword)) return schema_error(ErrorCode::kUnsupported, pointer, keyword, why);
  return {};
}

Result<GrammarExpr> add_json_schema(GrammarBuilder& builder, const OrderedJson& schema) { return SchemaCompiler(builder, schema).run(); }

GrammarExpr add_json_object(GrammarBuilder& builder) { return JsonText(builder).object(); }

Result<Grammar> json_schema_grammar(const OrderedJson& schema) {
  GrammarBuilder builder;
  COLONNADE_ASSIGN(const GrammarExpr root, add_json_schema(builder, schema));
  return builder.finish(root);
}

}  // namespace colonnade::engine
