#include "engine/text/grammar/json_schema.h"
#include "tests/fuzz/grammar_steps.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace colonnade;
  const auto schema = parse_ordered_json({reinterpret_cast<const char*>(data), size}, "schema");
  if (!schema.ok()) return 0;
  const auto grammar = engine::json_schema_grammar(*schema);
  if (grammar.ok()) tests::take_steps(*grammar);
  return 0;
}
