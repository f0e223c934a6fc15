// JSON schemas as alternatives without allOf, anyOf, oneOf and $ref at their top, so that each can be compiled by itself.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/result.h"

namespace colonnade::engine {

/// What compiling a schema may cost; untrusted schemas stop here.
struct SchemaBudget {
  std::size_t values = 1000000;  // of JSON, compiled or copied in combining
  std::size_t alternatives = 256;

  /// Takes the values of `schema` off; kExhausted when they are more than what is left.
  Status spend(const OrderedJson& schema, const std::string& pointer);
};

/// An error about a keyword at a place of the schema.
Error schema_error(ErrorCode code, const std::string& pointer, const std::string& keyword, const std::string& what);

/// The part of `root` that "$ref": `reference` names, or an error that names `pointer`.
Result<const OrderedJson*> resolve_reference(const OrderedJson& root, const std::string& reference, const std::string& pointer);

/// JSON pointer of a member.
std::string below(const std::string& pointer, const std::string& key);

/// Whether a keyword says nothing about which values are allowed.
bool is_annotation(const std::string& keyword);

class SchemaMerger {
 public:
  SchemaMerger(const OrderedJson& root, SchemaBudget& budget) : root_(root), budget_(budget) {}

  /// A value satisfies `schema` when it satisfies one of the result; each is an object, true or false.
  Result<std::vector<OrderedJson>> alternatives(const OrderedJson& schema, const std::string& pointer, int depth = 0);

 private:
  Result<std::vector<OrderedJson>> products(const std::vector<OrderedJson>& left, const std::vector<OrderedJson>& right,
                                            const std::string& pointer);
  Result<OrderedJson> merge(const OrderedJson& left, const OrderedJson& right, const std::string& pointer);
  Status merge_keyword(OrderedJson& out, const std::string& key, const OrderedJson& value, const std::string& pointer);

  const OrderedJson& root_;
  SchemaBudget& budget_;
};

}  // namespace colonnade::engine
