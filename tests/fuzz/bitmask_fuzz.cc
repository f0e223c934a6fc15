// A whole checkpoint with sparse-bitmask tensors whose masks, offsets and shapes are anything.
#include <vector>

#include "shard/checkpoint_tensors.h"
#include "tests/fuzz/fuzz_folder.h"
#include "tests/fuzz/target.h"

using namespace colonnade::shard;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  colonnade::tests::write_fuzz_file("model.safetensors", data, size);
  const auto source = CheckpointTensors::open_directory(colonnade::tests::fuzz_folder());
  if (!source.ok()) return 0;
  const auto tensor = (*source)->open("m.weight");
  if (!tensor.ok()) return 0;
  const std::uint64_t cols = tensor->cols();
  if (tensor->rows() > 1024 || cols > 1024) return 0;
  std::vector<float> out(tensor->rows() * cols);
  if (!tensor->read({0, tensor->rows(), 0, cols}, out.data(), cols).ok()) return 0;
  // What can be read whole can be read in columns.
  for (std::uint64_t c = 0; c < cols; ++c)
    if (!tensor->read({0, tensor->rows(), c, 1}, out.data(), 1).ok()) __builtin_trap();
  return 0;
}
