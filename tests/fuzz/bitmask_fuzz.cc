// A whole checkpoint with sparse-bitmask tensors whose masks, offsets and shapes are anything.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "shard/checkpoint_tensors.h"
#include "tests/fuzz/target.h"

namespace {

using namespace colonnade::shard;

const std::filesystem::path& folder() {
  static const std::filesystem::path path = [] {
    // A disk would be a hundred times slower.
    const std::filesystem::path memory = "/dev/shm";
    const auto base = std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
    std::string name = (base / "colonnade-fuzz-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    std::atexit([] { std::filesystem::remove_all(folder()); });
    return std::filesystem::path(name);
  }();
  return path;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = folder() / "model.safetensors";
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (descriptor < 0 || ::write(descriptor, data, size) != static_cast<ssize_t>(size)) std::abort();
  ::close(descriptor);
  const auto source = CheckpointTensors::open_directory(folder());
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
