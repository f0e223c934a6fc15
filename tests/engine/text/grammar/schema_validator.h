// Whether a JSON value satisfies a schema, as far as the tests' schemas go. Written from the JSON Schema specification,
// without a thought of how the grammar is made.
#pragma once

#include <string>

#include "engine/base/json.h"

namespace colonnade::tests {

/// "" when it does, else the first thing that is wrong. Throws for a keyword that it does not know.
std::string violation(const OrderedJson& value, const OrderedJson& schema, const OrderedJson& root);

}  // namespace colonnade::tests
