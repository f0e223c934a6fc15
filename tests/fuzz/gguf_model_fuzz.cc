// A GGUF file as a model: metadata as a configuration, places and types of tensors, every number.
#include "shard/hf_config.h"
#include "shard/stored_model.h"
#include "tests/fuzz/fuzz_folder.h"
#include "tests/fuzz/read_tensors.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace colonnade;
  const auto file = tests::write_fuzz_file("m.gguf", data, size);
  if (!shard::check_stored_model(file).ok()) return 0;
  (void)shard::read_stored_files(file).ok();
  const auto config = shard::read_stored_config(file);
  if (!config.ok()) return 0;
  const auto tensors = shard::open_stored_tensors(file, *config);
  if (tensors.ok()) tests::read_tensors(**tensors);
  return 0;
}
