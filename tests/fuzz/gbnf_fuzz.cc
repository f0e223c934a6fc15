#include "engine/text/grammar/gbnf.h"
#include "tests/fuzz/grammar_steps.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto grammar = colonnade::engine::parse_gbnf({reinterpret_cast<const char*>(data), size});
  if (grammar.ok()) colonnade::tests::take_steps(*grammar);
  return 0;
}
