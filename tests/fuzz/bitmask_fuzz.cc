// A whole checkpoint with sparse-bitmask tensors whose masks, offsets and shapes are anything.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "shard/tensor_rows.h"
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
  const auto checkpoint = Checkpoint::open(folder());
  if (!checkpoint.ok()) return 0;
  const Tensor* shape = checkpoint->find("m.shape");
  std::uint64_t sizes[2] = {0, 0};
  if (shape == nullptr || shape->data.size() > sizeof sizes) return 0;
  if (!shape->data.empty()) std::memcpy(sizes, shape->data.data(), shape->data.size());
  const bool is_vector = shape->data.size() == 8;
  const std::uint64_t rows = is_vector ? 0 : sizes[0], cols = is_vector ? sizes[0] : sizes[1];
  if (rows > 1024 || cols == 0 || cols > 1024) return 0;
  const auto tensor = find_tensor(*checkpoint, "m.weight", rows, cols);
  if (!tensor.ok()) return 0;
  std::vector<float> out(tensor->rows() * cols);
  if (!tensor->read({0, tensor->rows(), 0, cols}, out.data(), cols).ok()) return 0;
  // What can be read whole can be read in columns.
  for (std::uint64_t c = 0; c < cols; ++c)
    if (!tensor->read({0, tensor->rows(), c, 1}, out.data(), 1).ok()) __builtin_trap();
  return 0;
}
