#include "shard/hf_config.h"
#include "shard/quantization_config.h"

#include <string_view>

#include "shard/paths.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = colonnade::shard::parse_model_config(text, "config.json");
  // What is accepted can be counted: sizes are within limits.
  if (config.ok() && colonnade::shard::count_parameters(*config).total == 0) __builtin_trap();
  (void)colonnade::shard::QuantizationConfig::parse(text, "config.json").ok();
  return 0;
}
