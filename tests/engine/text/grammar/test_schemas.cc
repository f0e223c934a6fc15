// JSON schemas: which texts they allow, and that no walk through masks ends in anything else.
#include <catch2/catch.hpp>

#include "engine/text/grammar/json_schema.h"
#include "tests/engine/text/grammar/grammar_walk.h"
#include "tests/engine/text/grammar/schema_validator.h"
#include "tests/support/shared_data.h"
#include "tests/support/skip.h"

using namespace colonnade;
using namespace colonnade::engine;
using namespace colonnade::tests;

namespace {

std::shared_ptr<const TokenTrie> single_bytes() {
  static const auto trie = std::make_shared<const TokenTrie>(bytes_and({}));
  return trie;
}

OrderedJson parsed(const std::string& json) {
  const auto value = parse_ordered_json(json, "test");
  if (!value.ok()) FAIL(value.error().message << ": " << json);
  return *value;
}

std::shared_ptr<const TokenGrammar> compiled(const OrderedJson& schema, const std::shared_ptr<const TokenTrie>& vocabulary) {
  const auto grammar = json_schema_grammar(schema);
  if (!grammar.ok()) FAIL(grammar.error().message);
  const auto result = TokenGrammar::compile(*grammar, vocabulary);
  if (!result.ok()) FAIL(result.error().message << ": " << schema.dump());
  return *result;
}

struct Case {
  std::string schema;
  std::vector<std::string> allowed;
  std::vector<std::string> refused;
};

const Case kCases[] = {
    {R"j({"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "integer"}, "c": {"type": "null"}}, "required": ["a"]})j",
     {R"j({"a":1})j", R"j({"b":"x","a":-20,"c":null})j", "{\n  \"b\": \"\\u00e9\\ud83d\\ude00\\n\",\n\t\t\"a\": 0\n}", R"j({ "a":1, "c":null })j"},
     {R"j({})j", R"j({"b":"x"})j", R"j({"a":1,"b":"x"})j", R"j({"a":01})j", R"j({"a":1.0})j", R"j({"a":1,})j", R"j({"a":1,"d":2})j", R"j( {"a":1})j",
      R"j({"a":1}
)j", R"j({"a" :1})j", R"j({"a":1  })j", R"j({"b":"\ud83d","a":1})j", R"j({"b":"\x","a":1})j", "{\"b\":\"\n\",\"a\":1}", "{\"b\":\"\xC3\",\"a\":1}"}},
    {R"j({"type": "object"})j", {"{}", "{ }", R"j({"x":[1,{"y":[]}],"":null})j"}, {"[]", "{,}", R"j({"x"})j"}},
    {R"j({"type": "object", "properties": {"ab": {"const": 1}, "b": {"const": 2}}, "required": ["b"], "additionalProperties": {"type": "boolean"}})j",
     {R"j({"b":2,"c":true})j", R"j({"ab":1,"b":2,"a":true,"abc":false,"":true,"é":true})j"},
     {R"j({"b":2,"ab":true})j", R"j({"b":2,"b":true})j", R"j({"b":2,"c":1})j", R"j({"c":true,"b":2})j", R"j({"b":2,"\u0062":true})j"}},
    {R"j({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1, "maxProperties": 2})j",
     {R"j({"a":1})j", R"j({"a":1,"b":2})j"}, {"{}", R"j({"a":1,"b":2,"c":3})j", R"j({"a":"x"})j"}},
    {R"j({"type": "object", "required": ["z", "y"], "properties": {"y": {"const": 0}}})j", {R"j({"y":0,"z":[1]})j"}, {R"j({"y":0})j", R"j({"z":1,"y":0})j"}},
    {R"j({"patternProperties": {"^x-[a-z]+$": {"type": "null"}}})j", {"{}", R"j({"x-a":null,"x-bc":null})j"}, {R"j({"a":null})j", R"j({"x-a":1})j"}},
    {R"j({"type": "object", "propertyNames": {"enum": ["l", "r"]}, "additionalProperties": {"type": "number"}})j", {R"j({"l":1.5,"r":-2e3})j"}, {R"j({"m":1})j"}},
    {R"j({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3})j", {"[true]", "[true,false, true]", "[\n true\n]"}, {"[]", "[true,true,true,true]", "[1]", "[true,]"}},
    {R"j({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": {"const": 3}, "minItems": 1})j", {"[1]", "[1,2]", "[1,2,3,3]"}, {"[]", "[2]", "[1,3]"}},
    {R"j({"items": [{"const": 1}, {"const": 2}], "additionalItems": false})j", {"[]", "[1]", "[1,2]"}, {"[1,2,3]"}},
    {R"j({"type": "array", "maxItems": 0})j", {"[]", "[ ]"}, {"[1]"}},
    {R"j({"enum": ["a", 1, null, {"x": [1, "é"]}, 2.5]})j", {"\"a\"", "1", "null", R"j({"x":[1,"é"]})j", "2.5"}, {"\"b\"", "2", R"j({"x":[1]})j"}},
    {R"j({"type": "string", "enum": ["a", 1]})j", {"\"a\""}, {"1"}},
    {R"j({"type": "string", "minLength": 2, "maxLength": 3})j", {R"j("ab")j", R"j("é€😀")j", R"j("\n\u0041\ud83d\ude00")j"}, {R"j("a")j", R"j("abcd")j", R"j("é")j"}},
    {R"j({"type": "string", "pattern": "^[a-c]{2,4}(-\\d+)?$"})j", {R"j("ab")j", R"j("abca-01")j"}, {R"j("a")j", R"j("abx")j", R"j("ab-")j", R"j("ab-1 ")j"}},
    {R"j({"type": "string", "pattern": "x\"\\\\|^\\t"})j", {R"j("aax\"\\b")j", R"j("\t...")j"}, {R"j("x")j", R"j("a\t")j"}},
    {R"j({"type": "string", "pattern": "^[^\\s]+$", "maxLength": 3})j", {R"j("abc")j", R"j("\"\\é")j"}, {R"j("a b")j", R"j("abcd")j", R"j("")j"}},
    {R"j({"type": "integer", "minimum": -12, "maximum": 205})j", {"-12", "-9", "0", "7", "99", "200", "205"}, {"-13", "206", "210", "1000", "-100", "00", "-0", "1.0"}},
    {R"j({"type": "integer", "exclusiveMinimum": 99, "exclusiveMaximum": 1001})j", {"100", "999", "1000"}, {"99", "1001", "10", "10000"}},
    {R"j({"type": "integer", "minimum": 5})j", {"5", "10", "123456789012345678"}, {"4", "-5", "0"}},
    {R"j({"type": "number", "minimum": 0.5, "exclusiveMaximum": 1.25})j", {"0.5", "0.500", "1", "1.0", "1.2499", "0.75"}, {"0.49", "1.25", "1.3", "0", "2", "-0.6", "1e0", ".5"}},
    {R"j({"type": "number", "exclusiveMinimum": -2, "maximum": 0})j", {"-1.999", "-0.5", "0", "0.0"}, {"-2", "-2.0", "0.1", "1", "-3"}},
    {R"j({"type": "number"})j", {"0", "-1.5e+10", "1E-9", "2e289"}, {"01", "1.", "1e999", "2e290", "+1", "--1", "NaN"}},
    {R"j({"type": "integer", "multipleOf": 7})j", {"0", "7", "-14", "700", "700000000000000007"}, {"1", "8", "-1", "07"}},
    {R"j({"type": "integer", "multipleOf": 250, "minimum": -300, "maximum": 1000})j", {"-250", "0", "250", "1000"}, {"-500", "100", "1250"}},
    {R"j({"type": "number", "multipleOf": 0.01})j", {"1", "1.2", "1.25", "-3.00"}, {"1.255"}},
    {R"j({"anyOf": [{"type": "string"}, {"type": "integer"}], "title": "x"})j", {"\"a\"", "1"}, {"null", "1.5"}},
    {R"j({"type": ["integer", "null"], "maximum": 3})j", {"3", "null", "-9"}, {"4"}},
    {R"j({"type": "string", "nullable": true})j", {"null", "\"\""}, {"1"}},
    {R"j({"allOf": [{"type": "object", "properties": {"a": {"minimum": 3}}, "required": ["a"]}, {"properties": {"a": {"type": "integer", "maximum": 5}, "b": {"const": 1}}}]})j",
     {R"j({"a":3})j", R"j({"a":5,"b":1})j"}, {R"j({"b":1})j", R"j({"a":2})j", R"j({"a":6})j", R"j({"a":3.5})j"}},
    {R"j({"properties": {"k": {"type": "string"}}, "anyOf": [{"properties": {"k": {"const": "a"}, "x": {"const": 1}}, "required": ["k", "x"]}, {"properties": {"k": {"enum": ["b", 4]}}, "required": ["k"]}]})j",
     {R"j({"k":"a","x":1})j", R"j({"k":"b"})j"}, {R"j({"k":"a"})j", R"j({"k":4})j", R"j({"k":"b","x":1})j"}},
    {R"j({"allOf": [{"properties": {"a": {"const": 1}}, "additionalProperties": false}, {"properties": {"b": {"const": 1}}}]})j", {"{}", R"j({"a":1})j"}, {R"j({"b":1})j"}},
    {R"j({"$ref": "#/$defs/list", "$defs": {"list": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"head": {"type": "integer"}, "tail": {"$ref": "#/$defs/list"}}, "required": ["head", "tail"]}]}}})j",
     {"null", R"j({"head":1,"tail":{"head":2,"tail":null}})j"}, {"{}", R"j({"head":1})j"}},
    {R"j({"properties": {"a/b~c": {"const": 1}, "r": {"$ref": "#/properties/a~1b~0c"}}, "required": ["r"]})j", {R"j({"r":1})j"}, {R"j({"r":2})j"}},
    // Combined with itself for ever: comes to an end, because equal combinations are one.
    {R"j({"$ref": "#/$defs/n", "$defs": {"base": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}, "n": {"allOf": [{"$ref": "#/$defs/base"}, {"properties": {"next": {"$ref": "#/$defs/n"}, "v": {"type": "null"}}}]}}})j",
     {"{}", R"j({"next":{"next":{},"v":null},"v":null})j"}, {R"j({"next":1})j"}},
    {R"j(true)j", {"1", "[{}]", "\"x\""}, {"", "x"}},
    {R"j({"type": "string", "format": "date"})j", {"\"2024-02-28\"", "\"1999-12-31\""}, {"\"2024-02-30\"", "\"2024-13-01\"", "\"24-01-01\""}},
    {R"j({"type": "string", "format": "ipv6"})j", {"\"::\"", "\"1::\"", "\"::1\"", "\"fe80::1:2\"", "\"1:2:3:4:5:6:7:8\"", "\"1:2:3:4:5:6::8\""}, {"\"1:2\"", "\":::\"", "\"1::2::3\"", "\"1:2:3:4:5:6:7:8:9\"", "\"12345::\""}},
    {R"j({"type": "string", "format": "duration"})j", {"\"P1Y2M3DT4H5M6S\"", "\"PT1M\"", "\"P2W\"", "\"P1D\""}, {"\"P\"", "\"PT\"", "\"1D\"", "\"P1S\""}},
    {R"j({"type": "string", "format": "email"})j", {"\"a.b@c.de\""}, {"\"a@b\"", "\"@b.c\"", "\"a.b.c\""}},
};

}  // namespace

TEST_CASE("schemas allow what they say and nothing else") {
  for (const Case& c : kCases) {
    CAPTURE(c.schema);
    const OrderedJson schema = parsed(c.schema);
    const auto grammar = compiled(schema, single_bytes());
    for (const std::string& text : c.allowed) {
      CAPTURE(text);
      CHECK(matches(grammar, text));
      if (!schema.is_object() || !schema.contains("additionalItems")) CHECK(violation(parsed(text), schema, schema) == "");
    }
    for (const std::string& text : c.refused) {
      CAPTURE(text);
      CHECK_FALSE(matches(grammar, text));
    }
  }
}

TEST_CASE("what a schema cannot have is refused with place and keyword") {
  const auto error_of = [](const std::string& schema) {
    const auto grammar = json_schema_grammar(parsed(schema));
    if (!grammar.ok()) return grammar.error().message;
    const auto result = TokenGrammar::compile(*grammar, single_bytes());
    return result.ok() ? std::string("no error") : result.error().message;
  };
  CHECK(error_of(R"({"properties": {"a": {"not": {}}}})") == "JSON schema at #/properties/a: \"not\" is not supported");
  CHECK(error_of(R"({"$defs": {"x": {"items": {"if": 1}}}, "items": {"$ref": "#/$defs/x"}})") == "JSON schema at #/$defs/x/items: \"if\" is not supported");
  CHECK(error_of(R"({"items": {"type": "array", "uniqueItems": true}})") == "JSON schema at #/items: \"uniqueItems\" is not supported: items cannot be compared while they are written");
  CHECK(error_of(R"({"type": "thing"})").find("JSON schema at #: \"type\" must be of object, array") == 0);
  CHECK(error_of(R"({"$ref": "http://x/y"})").find("\"$ref\" must be a JSON pointer into this schema") != std::string::npos);
  CHECK(error_of(R"({"$ref": "#/$defs/none"})").find("names \"#/$defs/none\", which is not there") != std::string::npos);
  CHECK(error_of(R"({"$ref": "#"})") == "JSON schema at #: \"$ref\" leads back here without any value between");
  CHECK(error_of(R"({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}, {"type": "null"}]}, "b": {"oneOf": [{"$ref": "#/$defs/a"}]}}})").find("leads back here") != std::string::npos);
  CHECK(error_of(R"({"allOf": [{"$ref": "#"}, {"type": "object"}]})").find("go round in circles") != std::string::npos);
  CHECK(error_of(R"({"pattern": "(?=a)b"})") == "JSON schema at #: \"pattern\" character 2 of the pattern: looking ahead or behind is not supported");
  CHECK(error_of(R"({"pattern": "a\\1"})").find("\"\\1\" is not supported") != std::string::npos);
  CHECK(error_of(R"({"pattern": "a{2"})").find("expected \"}\"") != std::string::npos);
  CHECK(error_of(R"({"pattern": "[z-a]"})").find("a range whose end is before its beginning") != std::string::npos);
  CHECK(error_of(R"({"pattern": "a^b"})").find("an anchor inside is not supported") != std::string::npos);
  CHECK(error_of(R"({"pattern": "^(ab)*$", "maxLength": 5})").find("\"maxLength\" is not supported beside a \"pattern\"") != std::string::npos);
  CHECK(error_of(R"({"format": "zip"})").find("\"format\" must be one of date-time") != std::string::npos);
  CHECK(error_of(R"({"enum": ["a"], "minLength": 3})").find("\"minLength\" is not supported beside \"enum\"") != std::string::npos);
  CHECK(error_of(R"({"type": "string", "maxLength": 1e9})").find("\"maxLength\" must be at most 20000") != std::string::npos);
  CHECK(error_of(R"({"type": "string", "minLength": -1})").find("must be a number that is not negative") != std::string::npos);
  CHECK(error_of(R"({"type": "integer", "multipleOf": 101})").find("\"multipleOf\" must be at most 100") != std::string::npos);
  CHECK(error_of(R"({"type": "number", "multipleOf": 0.3})").find("\"multipleOf\" must be a whole number or a power of ten") != std::string::npos);
  CHECK(error_of(R"({"type": "object", "properties": {"a": {}}, "minProperties": 1})").find("\"minProperties\" is not supported with properties that may be left out") != std::string::npos);
  CHECK(error_of(R"({"allOf": [{"properties": [1]}, {"additionalProperties": false}]})").find("\"properties\" must be an object") != std::string::npos);
  CHECK(error_of(R"({"properties": 3})").find("\"properties\" must be an object") != std::string::npos);
  CHECK(error_of(R"({"type": "object", "properties": {"x": {"type": "object", "properties": {"y": {"$ref": "#/properties/x"}}, "required": ["y"]}}, "required": ["x"]})") == "the grammar matches no text at all");
  CHECK(error_of(R"({"type": "string", "const": 3})") == "the grammar matches no text at all");
  std::string many = R"({"allOf": [)";
  for (int i = 0; i < 10; ++i) many += std::string(i > 0 ? "," : "") + R"({"anyOf": [{"minimum": 1}, {"maximum": 2}]})";
  CHECK(error_of(many + "]}").find("expected at most 256 combinations") != std::string::npos);
}

TEST_CASE("random walks with real vocabularies end in documents of the schema") {
  int documents = 0;
  for (const char* name : {"gpt2", "llama3", "stories260K"}) {
    const auto vocabulary = shared_vocabulary(name);
    if (vocabulary == nullptr) continue;
    std::mt19937 random(1);
    for (const Case& c : kCases) {
      const OrderedJson schema = parsed(c.schema);
      if (schema.is_object() && schema.contains("additionalItems")) continue;  // not the validator's
      if (schema.is_object() && schema.value("pattern", "").rfind("x", 0) == 0) continue;  // nobody finds three characters by chance
      CAPTURE(name, c.schema);
      const auto grammar = compiled(schema, vocabulary);
      for (int i = 0; i < 3; ++i) {
        const Walk walk = random_walk(grammar, *vocabulary, random, 1000);
        CAPTURE(walk.text);
        REQUIRE(walk.complete);
        CHECK(violation(parsed(walk.text), schema, schema) == "");
        ++documents;
      }
    }
  }
  if (documents == 0) COLONNADE_SKIP("needs tokenizers of the shared test data (set COLONNADE_SHARED or put it at ../shared)");
}
