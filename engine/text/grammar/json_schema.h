// JSON schema → grammar of the JSON texts that satisfy it. What cannot be said by a grammar is refused by name, never
// ignored; docs/api.md lists what is understood. Texts are a subset of what the schema allows:
//  - properties come in the order in which the schema lists them; those that it does not list are allowed only where
//    additionalProperties or patternProperties say so, or where it lists none,
//  - oneOf is taken as anyOf,
//  - white space: after `{`, `[` and `,` and before `}` and `]` nothing, one space, or one line end with up to 32 spaces
//    or 8 tabs; after `:` nothing or one space; none elsewhere, so that nobody can go on with white space for ever,
//  - numbers have at most 16 digits before and after the point, and exponents that a double holds.
#pragma once

#include "engine/base/json.h"
#include "engine/base/result.h"
#include "engine/text/grammar/grammar.h"

namespace colonnade::engine {

/// An expression that matches the JSON texts of `schema` (an object, true or false; "$ref" within the schema only).
/// kUnsupported or kInvalidArgument name the JSON pointer of the place and the keyword. Handles untrusted schemas:
/// bounded time and memory.
Result<GrammarExpr> add_json_schema(GrammarBuilder& builder, const OrderedJson& schema);

/// Any JSON object.
GrammarExpr add_json_object(GrammarBuilder& builder);

/// The grammar of a schema alone.
Result<Grammar> json_schema_grammar(const OrderedJson& schema);

}  // namespace colonnade::engine
