// The work of json_schema.h: one object for one schema. Members are spread over schema_*.cc by type of value.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/text/grammar/json_text.h"
#include "engine/text/grammar/schema_merge.h"

namespace colonnade::engine {

class SchemaCompiler {
 public:
  SchemaCompiler(GrammarBuilder& builder, const OrderedJson& root) : b_(builder), json_(builder), root_(root), merger_(root, budget_) {}

  Result<GrammarExpr> run();

 private:
  /// A schema anywhere.
  Result<GrammarExpr> schema(const OrderedJson& schema, const std::string& pointer);
  /// Without allOf, anyOf, oneOf and $ref.
  Result<GrammarExpr> plain(const OrderedJson& schema, const std::string& pointer);
  Result<GrammarExpr> combined(const OrderedJson& schema, const std::string& pointer);
  Result<GrammarExpr> reference(const std::string& target, const std::string& pointer);
  Result<GrammarExpr> of_type(const std::string& type, const OrderedJson& schema, const std::string& pointer);
  Result<GrammarExpr> constants(const OrderedJson& schema, const std::string& pointer);
  Status find_circles() const;

  // schema_object.cc
  struct Member {
    std::string name;
    GrammarExpr expr;  // the name and the value
    bool required;
  };
  Result<GrammarExpr> object(const OrderedJson& schema, const std::string& pointer);
  Result<std::vector<Member>> members(const OrderedJson& schema, const std::string& pointer);
  Result<std::optional<GrammarExpr>> other_member(const OrderedJson& schema, const std::vector<Member>& listed, const std::string& pointer);
  GrammarExpr object_of(const std::vector<Member>& members, std::optional<GrammarExpr> other, int least_others, int most_others);

  // schema_array.cc
  Result<GrammarExpr> array(const OrderedJson& schema, const std::string& pointer);

  // schema_string.cc
  Result<GrammarExpr> string(const OrderedJson& schema, const std::string& pointer);

  // schema_number.cc
  Result<GrammarExpr> number(bool integer, const OrderedJson& schema, const std::string& pointer);
  Result<GrammarExpr> multiples(std::int64_t step, const OrderedJson& schema, const std::string& pointer);

  /// A count that a keyword gives, or `otherwise`.
  Result<int> count(const OrderedJson& schema, const char* keyword, int otherwise, const std::string& pointer) const;
  /// kUnsupported for the first of `keywords` that the schema has.
  static Status refuse(const OrderedJson& schema, std::initializer_list<const char*> keywords, const std::string& pointer, const char* why);

  GrammarBuilder& b_;
  JsonText json_;
  const OrderedJson& root_;
  SchemaBudget budget_;
  SchemaMerger merger_;
  struct Referred {
    const OrderedJson* schema;
    std::string pointer;
    GrammarRule rule;
  };
  std::vector<Referred> waiting_;                 // rules to define
  std::map<std::string, GrammarRule> by_pointer_;
  std::map<std::string, GrammarRule> by_text_;    // of combined schemas
  // Rules that begin with each other without any text between: no value could end.
  GrammarRule current_ = -1;
  int inside_ = 0;                                // objects and arrays around what is compiled now
  std::map<GrammarRule, std::vector<GrammarRule>> begins_with_;
  std::map<GrammarRule, std::string> pointers_;
};

}  // namespace colonnade::engine
