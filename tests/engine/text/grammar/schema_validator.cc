#include "tests/engine/text/grammar/schema_validator.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <regex>
#include <set>
#include <stdexcept>

namespace colonnade::tests {
namespace {

std::size_t length(const std::string& text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
  return count;
}

bool has_type(const OrderedJson& value, const std::string& type) {
  if (type == "integer") return value.is_number_integer() || (value.is_number() && std::trunc(value.get<double>()) == value.get<double>());
  if (type == "number") return value.is_number();
  if (type == "string") return value.is_string();
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "boolean") return value.is_boolean();
  return value.is_null();
}

bool is_format(const std::string& text, const std::string& format) {
  static const std::map<std::string, std::string> kPatterns = {
      {"date", R"(\d{4}-\d\d-\d\d)"},
      {"time", R"(\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))"},
      {"date-time", R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))"},
      {"uuid", R"([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})"},
      {"ipv4", R"((\d{1,3}\.){3}\d{1,3})"},
      {"ipv6", R"([0-9a-fA-F:]+)"},
      {"hostname", R"([a-zA-Z0-9][a-zA-Z0-9.-]*)"},
      {"email", R"([^@ ]+@[^@ ]+\.[^@ ]+)"},
      {"duration", R"(P(?=.)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?))"},
      {"uri", R"([a-zA-Z][a-zA-Z0-9+.-]*://[^\s"<>]+)"}};
  if (!std::regex_match(text, std::regex(kPatterns.at(format)))) return false;
  int year = 0, month = 0, day = 0;
  if (format.rfind("date", 0) == 0 && std::sscanf(text.c_str(), "%d-%d-%d", &year, &month, &day) == 3) {
    const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12 || day < 1 || day > days[month - 1]) return false;
  }
  int a = 0, b = 0, c = 0, d = 0;
  if (format == "ipv4" && std::sscanf(text.c_str(), "%d.%d.%d.%d", &a, &b, &c, &d) == 4) return std::max({a, b, c, d}) < 256;
  if (format == "ipv6") {
    const bool shortened = text.find("::") != std::string::npos;
    const auto colons = std::count(text.begin(), text.end(), ':');
    return text.find(":::") == std::string::npos && text.find("::", text.find("::") + 1) == std::string::npos && (shortened ? colons <= 7 : colons == 7);
  }
  return true;
}

class Validator {
 public:
  explicit Validator(const OrderedJson& root) : root_(root) {}

  std::string check(const OrderedJson& value, const OrderedJson& schema) const {
    if (schema.is_boolean()) return schema.get<bool>() ? "" : "nothing is allowed";
    for (const auto& [key, rule] : schema.items())
      if (std::string wrong = keyword(key, rule, value, schema); !wrong.empty()) return key + ": " + wrong;
    return "";
  }

 private:
  std::string all(const OrderedJson& values, const OrderedJson& schema) const {
    for (const OrderedJson& one : values)
      if (std::string wrong = check(one, schema); !wrong.empty()) return wrong;
    return "";
  }

  static std::string unless(bool fine, const char* what) { return fine ? "" : what; }

  std::string keyword(const std::string& key, const OrderedJson& rule, const OrderedJson& value, const OrderedJson& schema) const {
    static const std::set<std::string> kSilent = {"$defs", "definitions", "title", "description", "nullable"};
    if (kSilent.count(key) != 0) return "";
    if (key == "type") {
      if (schema.value("nullable", OrderedJson(false)) == true && value.is_null()) return "";
      bool fine = false;
      for (const OrderedJson& type : rule.is_array() ? rule : OrderedJson::array({rule})) fine = fine || has_type(value, type);
      return unless(fine, "another type");
    }
    if (key == "enum") return unless(std::find(rule.begin(), rule.end(), value) != rule.end(), "none of these");
    if (key == "const") return unless(rule == value, "another value");
    if (key == "$ref") return check(value, root_.at(OrderedJson::json_pointer(rule.get<std::string>().substr(1))));
    if (key == "allOf") {
      for (const OrderedJson& one : rule)
        if (std::string wrong = check(value, one); !wrong.empty()) return wrong;
      return "";
    }
    if (key == "anyOf" || key == "oneOf") {
      std::string last;
      for (const OrderedJson& one : rule) {
        last = check(value, one);
        if (last.empty()) return "";
      }
      return "none: " + last;
    }
    if (value.is_object()) return of_object(key, rule, value, schema);
    if (value.is_array()) return of_array(key, rule, value, schema);
    if (value.is_string()) return of_string(key, rule, value.get<std::string>());
    if (value.is_number()) return of_number(key, rule, value);
    return "";
  }

  std::string of_object(const std::string& key, const OrderedJson& rule, const OrderedJson& value, const OrderedJson& schema) const {
    if (key == "required") {
      for (const OrderedJson& name : rule)
        if (!value.contains(name.get<std::string>())) return "without " + name.get<std::string>();
      return "";
    }
    if (key == "minProperties") return unless(value.size() >= rule, "too few");
    if (key == "maxProperties") return unless(value.size() <= rule, "too many");
    if (key == "propertyNames") {
      for (const auto& [name, member] : value.items())
        if (std::string wrong = check(name, rule); !wrong.empty()) return wrong;
      return "";
    }
    for (const auto& [name, member] : value.items()) {
      const bool listed = schema.contains("properties") && schema["properties"].contains(name);
      std::string wrong;
      if (key == "properties" && rule.contains(name)) wrong = check(member, rule[name]);
      bool patterned = false;
      if (schema.contains("patternProperties"))
        for (const auto& [pattern, part] : schema["patternProperties"].items()) patterned = patterned || std::regex_search(name, std::regex(pattern));
      if (key == "patternProperties" && patterned) wrong = check(member, rule.begin().value());
      if (key == "additionalProperties" && !listed && !patterned) wrong = check(member, rule);
      if (!wrong.empty()) return name + ": " + wrong;
    }
    return "";
  }

  std::string of_array(const std::string& key, const OrderedJson& rule, const OrderedJson& value, const OrderedJson& schema) const {
    if (key == "minItems") return unless(value.size() >= rule, "too few");
    if (key == "maxItems") return unless(value.size() <= rule, "too many");
    const std::size_t n_prefix = schema.contains("prefixItems") ? schema["prefixItems"].size() : 0;
    for (std::size_t i = 0; i < value.size(); ++i) {
      std::string wrong;
      if (key == "prefixItems" && i < n_prefix) wrong = check(value[i], rule[i]);
      if (key == "items" && i >= n_prefix) wrong = check(value[i], rule);
      if (!wrong.empty()) return wrong;
    }
    return "";
  }

  static std::string of_string(const std::string& key, const OrderedJson& rule, const std::string& value) {
    if (key == "minLength") return unless(length(value) >= rule, "too short");
    if (key == "maxLength") return unless(length(value) <= rule, "too long");
    if (key == "pattern") return unless(std::regex_search(value, std::regex(rule.get<std::string>())), "no match");
    if (key == "format") return unless(is_format(value, rule), "another format");
    return "";
  }

  static std::string of_number(const std::string& key, const OrderedJson& rule, const OrderedJson& value) {
    const double number = value.get<double>(), bound = rule.is_number() ? rule.get<double>() : 0;
    if (key == "minimum") return unless(number >= bound, "too small");
    if (key == "maximum") return unless(number <= bound, "too large");
    if (key == "exclusiveMinimum") return unless(number > bound, "too small");
    if (key == "exclusiveMaximum") return unless(number < bound, "too large");
    if (key == "multipleOf" && value.is_number_integer() && rule.is_number_integer())
      return unless(value.get<std::int64_t>() % rule.get<std::int64_t>() == 0, "no multiple");
    if (key == "multipleOf") return unless(std::abs(std::remainder(number, bound)) < 1e-6 * bound, "no multiple");
    static const std::set<std::string> kOthers = {"properties", "required", "items", "minLength", "maxLength", "pattern", "format", "additionalProperties"};
    if (kOthers.count(key) == 0) throw std::runtime_error("the validator does not know " + key);
    return "";
  }

  const OrderedJson& root_;
};

}  // namespace

std::string violation(const OrderedJson& value, const OrderedJson& schema, const OrderedJson& root) { return Validator(root).check(value, schema); }

}  // namespace colonnade::tests
