#include "shard/safetensors.h"

#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto tensors = colonnade::shard::parse_safetensors(bytes, "input");
  if (!tensors.ok()) return 0;
  // Every tensor that is listed lies within the file.
  for (const auto& tensor : *tensors)
    if (tensor.data.data() < bytes.data() || tensor.data.data() + tensor.data.size() > bytes.data() + size) __builtin_trap();
  return 0;
}
