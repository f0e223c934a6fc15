#include "engine/text/grammar/schema_merge.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "engine/base/format_text.h"

namespace colonnade::engine {
namespace {

constexpr int kMaxDepth = 64;  // of references and combinations within each other

constexpr std::array<std::string_view, 25> kAnnotations = {
    "title", "description", "default", "examples", "example", "deprecated", "readOnly", "writeOnly", "$schema", "$id", "id",
    "$comment", "$defs", "definitions", "$anchor", "$vocabulary", "contentMediaType", "contentEncoding", "contentSchema",
    "discriminator", "externalDocs", "xml", "strict", "name", "propertyOrdering"};

bool contains(const OrderedJson& list, const OrderedJson& value) { return std::find(list.begin(), list.end(), value) != list.end(); }

OrderedJson all_of(const OrderedJson& a, const OrderedJson& b) {
  if (a == b) return a;
  return {{"allOf", OrderedJson::array({a, b})}};
}

/// "type" as a list.
OrderedJson type_list(const OrderedJson& type) { return type.is_array() ? type : OrderedJson::array({type}); }

OrderedJson common_types(const OrderedJson& a, const OrderedJson& b) {
  OrderedJson out = OrderedJson::array();
  const OrderedJson first = type_list(a), second = type_list(b);
  for (const OrderedJson& type : first) {
    if (contains(second, type) || (type == "integer" && contains(second, "number"))) out.push_back(type);
    else if (type == "number" && contains(second, "integer")) out.push_back("integer");
  }
  return out;
}

/// Properties that one side lists also obey the other's additionalProperties.
void apply_additional(OrderedJson& properties, const OrderedJson& other) {
  if (!properties.is_object() || !other.contains("additionalProperties")) return;  // what is no object is refused later
  const OrderedJson& rule = other["additionalProperties"];
  if (rule == true) return;
  const OrderedJson listed = other.value("properties", OrderedJson::object());
  for (auto& [name, schema] : properties.items())
    if (!listed.contains(name)) schema = all_of(schema, rule);
}

std::size_t count_values(const OrderedJson& json) {
  std::size_t count = 1;
  if (json.is_structured())
    for (const OrderedJson& part : json) count += count_values(part);
  return count;
}

}  // namespace

Status SchemaBudget::spend(const OrderedJson& schema, const std::string& pointer) {
  const std::size_t count = count_values(schema);
  if (count > values) return Error{ErrorCode::kExhausted, text("JSON schema at ", pointer, ": the schema is too large when its parts are combined")};
  values -= count;
  return {};
}

Error schema_error(ErrorCode code, const std::string& pointer, const std::string& keyword, const std::string& what) {
  return {code, text("JSON schema at ", pointer, ": \"", keyword, "\" ", what)};
}

std::string below(const std::string& pointer, const std::string& key) {
  std::string out = pointer + '/';
  for (const char c : key.substr(0, 200)) {
    if (c == '~') out += "~0";
    else if (c == '/') out += "~1";
    else out += c;
  }
  return out;
}

bool is_annotation(const std::string& keyword) {
  return std::find(kAnnotations.begin(), kAnnotations.end(), keyword) != kAnnotations.end() || keyword.rfind("x-", 0) == 0;
}

Result<const OrderedJson*> resolve_reference(const OrderedJson& root, const std::string& reference, const std::string& pointer) {
  if (reference.empty() || reference[0] != '#' || (reference.size() > 1 && reference[1] != '/'))
    return schema_error(ErrorCode::kUnsupported, pointer, "$ref", text("must be a JSON pointer into this schema (#/…), found \"", reference.substr(0, 100), "\""));
  const OrderedJson* at = &root;
  for (std::size_t begin = 2; begin <= reference.size();) {
    const std::size_t end = std::min(reference.find('/', begin), reference.size());
    std::string key;
    for (std::size_t i = begin; i < end; ++i) {
      const char c = reference[i];
      const auto digit = [&](std::size_t j) { return j < end ? std::string_view("0123456789abcdef").find(static_cast<char>(reference[j] | 32)) : std::string::npos; };
      if (c == '~' && i + 1 < end) {
        key += reference[++i] == '1' ? '/' : '~';
      } else if (c == '%' && digit(i + 1) != std::string::npos && digit(i + 2) != std::string::npos) {
        key += static_cast<char>(digit(i + 1) * 16 + digit(i + 2));
        i += 2;
      } else {
        key += c;
      }
    }
    const OrderedJson* next = nullptr;
    if (at->is_object()) {
      const auto found = at->find(key);
      if (found != at->end()) next = &*found;
    } else if (at->is_array() && !key.empty() && key.size() < 6 && key.find_first_not_of("0123456789") == std::string::npos) {
      const auto index = static_cast<std::size_t>(std::stoul(key));
      if (index < at->size()) next = &(*at)[index];
    }
    if (next == nullptr) return schema_error(ErrorCode::kInvalidArgument, pointer, "$ref", text("names \"", reference.substr(0, 100), "\", which is not there"));
    at = next;
    begin = end + 1;
  }
  return at;
}

Result<std::vector<OrderedJson>> SchemaMerger::alternatives(const OrderedJson& schema, const std::string& pointer, int depth) {
  COLONNADE_TRY(budget_.spend(schema, pointer));
  if (depth > kMaxDepth)
    return Error{ErrorCode::kUnsupported, text("JSON schema at ", pointer, ": references and combinations go round in circles, or are more than ", kMaxDepth, " deep")};
  if (schema.is_boolean()) return std::vector<OrderedJson>{schema};
  if (!schema.is_object())
    return Error{ErrorCode::kInvalidArgument, text("JSON schema at ", pointer, ": expected an object, true or false, found ", schema.type_name())};
  OrderedJson base = OrderedJson::object();
  for (const auto& [key, value] : schema.items())
    if (key != "allOf" && key != "anyOf" && key != "oneOf" && key != "$ref" && !is_annotation(key)) base[key] = value;
  std::vector<OrderedJson> out = {base};
  if (const auto reference = schema.find("$ref"); reference != schema.end()) {
    if (!reference->is_string()) return schema_error(ErrorCode::kInvalidArgument, pointer, "$ref", "must be a string");
    const auto& name = reference->get_ref<const std::string&>();
    COLONNADE_ASSIGN(const OrderedJson* const target, resolve_reference(root_, name, pointer));
    COLONNADE_ASSIGN(const auto referred, alternatives(*target, name, depth + 1));
    COLONNADE_ASSIGN(out, products(out, referred, pointer));
  }
  for (const char* key : {"allOf", "anyOf", "oneOf"}) {
    const auto found = schema.find(key);
    if (found == schema.end()) continue;
    if (!found->is_array() || found->empty()) return schema_error(ErrorCode::kInvalidArgument, pointer, key, "must be a list that is not empty");
    std::vector<OrderedJson> any;
    for (std::size_t i = 0; i < found->size(); ++i) {
      COLONNADE_ASSIGN(auto some, alternatives((*found)[i], below(below(pointer, key), std::to_string(i)), depth + 1));
      if (std::string_view(key) == "allOf") {
        COLONNADE_ASSIGN(out, products(out, some, pointer));
      } else {
        any.insert(any.end(), some.begin(), some.end());
      }
    }
    if (std::string_view(key) != "allOf") {
      COLONNADE_ASSIGN(out, products(out, any, pointer));
    }
  }
  return out;
}

Result<std::vector<OrderedJson>> SchemaMerger::products(const std::vector<OrderedJson>& left, const std::vector<OrderedJson>& right,
                                                        const std::string& pointer) {
  if (left.size() * right.size() > budget_.alternatives)
    return Error{ErrorCode::kUnsupported, text("JSON schema at ", pointer, ": expected at most ", budget_.alternatives,
                                               " combinations of anyOf, oneOf and allOf, found ", left.size() * right.size())};
  std::vector<OrderedJson> out;
  for (const OrderedJson& a : left) {
    for (const OrderedJson& b : right) {
      COLONNADE_ASSIGN(OrderedJson both, merge(a, b, pointer));
      COLONNADE_TRY(budget_.spend(both, pointer));
      out.push_back(std::move(both));
    }
  }
  return out;
}

Result<OrderedJson> SchemaMerger::merge(const OrderedJson& left, const OrderedJson& right, const std::string& pointer) {
  if (left == false || right == false) return OrderedJson(false);
  if (left == true || (left.is_object() && left.empty())) return right;
  if (right == true || (right.is_object() && right.empty())) return left;
  OrderedJson out = left, added = right;
  for (const char* key : {"patternProperties", "propertyNames"})
    if ((out.contains(key) || added.contains(key)) && (out.contains("properties") || added.contains("properties")))
      return schema_error(ErrorCode::kUnsupported, pointer, key, "is not supported where schemas with properties are combined");
  if (out.contains("properties")) apply_additional(out["properties"], right);
  if (added.contains("properties")) apply_additional(added["properties"], left);
  for (const auto& [key, value] : added.items()) {
    if (!out.contains(key)) out[key] = value;
    else COLONNADE_TRY(merge_keyword(out, key, value, pointer));
  }
  return out;
}

Status SchemaMerger::merge_keyword(OrderedJson& out, const std::string& key, const OrderedJson& value, const std::string& pointer) {
  OrderedJson& mine = out[key];
  if (mine == value) return {};
  const bool numbers = mine.is_number() && value.is_number();
  const auto smaller = [](const OrderedJson& a, const OrderedJson& b) { return a < b ? a : b; };
  if (key == "type") {
    mine = common_types(mine, value);
  } else if (key == "enum" && mine.is_array() && value.is_array()) {
    OrderedJson common = OrderedJson::array();
    for (const OrderedJson& one : mine)
      if (contains(value, one)) common.push_back(one);
    mine = common;
  } else if (key == "const") {
    mine = OrderedJson();
    out.erase(key);
    out["enum"] = OrderedJson::array();  // two different values: none
  } else if (key == "properties" && mine.is_object() && value.is_object()) {
    for (const auto& [name, schema] : value.items()) mine[name] = mine.contains(name) ? all_of(mine[name], schema) : schema;
  } else if (key == "required" && mine.is_array() && value.is_array()) {
    for (const OrderedJson& name : value)
      if (!contains(mine, name)) mine.push_back(name);
  } else if (key == "additionalProperties" || key == "items" || key == "propertyNames") {
    if (key == "items" && (out.contains("prefixItems") || mine.is_array() || value.is_array()))
      return schema_error(ErrorCode::kUnsupported, pointer, key, "is not supported where schemas with prefixItems are combined");
    mine = all_of(mine, value);
  } else if (numbers && (key == "minimum" || key == "exclusiveMinimum" || key == "minLength" || key == "minItems" || key == "minProperties")) {
    mine = smaller(mine, value) == mine ? value : mine;
  } else if (numbers && (key == "maximum" || key == "exclusiveMaximum" || key == "maxLength" || key == "maxItems" || key == "maxProperties")) {
    mine = smaller(mine, value);
  } else if (key == "uniqueItems" || key == "nullable") {
    mine = key == "uniqueItems" ? mine == true || value == true : mine == true && value == true;
  } else {
    return schema_error(ErrorCode::kUnsupported, pointer, key, "is not supported with two different values in schemas that are combined");
  }
  return {};
}

}  // namespace colonnade::engine
