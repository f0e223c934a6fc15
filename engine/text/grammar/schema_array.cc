// Arrays: prefixItems, then items as many as may be.
#include <algorithm>

#include "engine/base/format_text.h"
#include "engine/text/grammar/schema_compiler.h"

namespace colonnade::engine {

Result<GrammarExpr> SchemaCompiler::array(const OrderedJson& schema, const std::string& pointer) {
  COLONNADE_ASSIGN(const int least, count(schema, "minItems", 0, pointer));
  COLONNADE_ASSIGN(int most, count(schema, "maxItems", kUnbounded, pointer));
  const bool single = most != kUnbounded && most <= 1;
  if (schema.value("uniqueItems", OrderedJson(false)) != false && !single)
    return schema_error(ErrorCode::kUnsupported, pointer, "uniqueItems", "is not supported: items cannot be compared while they are written");
  // Before 2020-12 "items" as a list was what "prefixItems" is now.
  OrderedJson prefix = schema.value("prefixItems", OrderedJson::array());
  OrderedJson items = schema.value("items", OrderedJson());
  const char* items_key = "items";
  const char* prefix_key = "prefixItems";
  if (items.is_array()) {
    prefix = items;
    items = schema.value("additionalItems", OrderedJson());
    items_key = "additionalItems";
    prefix_key = "items";
  }
  if (items.is_null()) {
    items_key = "unevaluatedItems";
    items = schema.value("unevaluatedItems", OrderedJson(true));
  }
  if (!prefix.is_array()) return schema_error(ErrorCode::kInvalidArgument, pointer, "prefixItems", "must be a list");

  const auto n_prefix = static_cast<int>(prefix.size());
  if (items == false && (most == kUnbounded || most > n_prefix)) most = n_prefix;
  if (most != kUnbounded && most < least) return b_.never();
  // From the end: what follows item i, with its comma unless it is the first.
  const auto separated = [&](int i, GrammarExpr item) { return i == 0 ? item : b_.sequence({json_.comma(), item}); };
  GrammarExpr rest = b_.empty();
  if (items != false && (most == kUnbounded || most > n_prefix)) {
    COLONNADE_ASSIGN(const GrammarExpr one, this->schema(items, below(pointer, items_key)));
    const GrammarExpr item = b_.use(b_.add_rule("item", one));
    const int lo = std::max(least - n_prefix, 0), hi = most == kUnbounded ? kUnbounded : most - n_prefix;
    const GrammarExpr next = b_.sequence({json_.comma(), item});
    if (n_prefix > 0) {
      rest = b_.repeat(next, lo, hi);
    } else {
      rest = b_.sequence({item, b_.repeat(next, std::max(lo - 1, 0), hi == kUnbounded ? kUnbounded : hi - 1)});
    }
  }
  for (int i = n_prefix - 1; i >= 0; --i) {
    if (most != kUnbounded && i >= most) continue;
    COLONNADE_ASSIGN(const GrammarExpr item, this->schema(prefix[static_cast<std::size_t>(i)], below(below(pointer, prefix_key), std::to_string(i))));
    rest = b_.sequence({separated(i, item), rest});
    if (i >= least && i > 0) rest = b_.optional(rest);
  }
  GrammarExpr body = most == 0 ? rest : b_.sequence({rest, json_.space()});
  if (least == 0) body = b_.optional(body);
  return b_.sequence({b_.literal("["), json_.space(), body, b_.literal("]")});
}

}  // namespace colonnade::engine
