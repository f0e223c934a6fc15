// Quantised safetensors. The input is a config.json, a line break, and a safetensors file.
#include <algorithm>
#include <string_view>

#include "shard/checkpoint_tensors.h"
#include "tests/fuzz/fuzz_folder.h"
#include "tests/fuzz/read_tensors.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace colonnade;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t config_bytes = std::min(bytes.find('\n'), size);
  auto config = shard::QuantizationConfig::parse(bytes.substr(0, config_bytes), "config.json");
  const std::size_t begin = std::min(config_bytes + 1, size);
  tests::write_fuzz_file("model.safetensors", data + begin, size - begin);
  const auto tensors = shard::CheckpointTensors::open_directory(tests::fuzz_folder(), config.ok() ? *config : shard::QuantizationConfig());
  if (tensors.ok()) tests::read_tensors(**tensors);
  return 0;
}
