#include <string_view>

#include "engine/text/tokenizer.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace colonnade::engine;
  const auto tokenizer = load_tokenizer_json({reinterpret_cast<const char*>(data), size});
  if (!tokenizer.ok()) return 0;
  const auto ids = (*tokenizer)->encode("Once upon\xff a <s> \u00e9\n", SpecialTokens::kRecognise, true);
  (void)(*tokenizer)->decode(ids, false);
  return 0;
}
