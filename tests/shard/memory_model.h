// A packed model in memory for tests: known weights in known places, without files.
#pragma once

#include <cstring>
#include <new>
#include <vector>

#include "engine/base/units.h"
#include "shard/blob.h"
#include "shard/manifest.h"
#include "shard/slice.h"

namespace colonnade::tests {

/// The weight at (row, col) of a matrix of a path: an integer below 120 in size, so that every format keeps it (int8
/// too, given the 127 in column 0 of every row).
inline float known_weight(const shard::PathSpec& path, const shard::MatrixSpec& m, std::uint32_t row,
                          std::uint32_t col) {
  if (col == 0) return 127.0f;
  const std::uint32_t mixed = static_cast<std::uint32_t>(path.kind) * 7u + static_cast<std::uint32_t>(path.layer) * 31u +
                              static_cast<std::uint32_t>(path.index) * 13u + static_cast<std::uint32_t>(path.expert) * 57u +
                              static_cast<std::uint32_t>(m.role) * 19u + static_cast<std::uint32_t>(m.part) * 5u + row * 3u +
                              col * 11u;
  return static_cast<float>(mixed % 239u) - 119.0f;
}
inline float known_vector(const shard::PathSpec& path, const shard::VectorSpec& v, std::uint32_t i) {
  return static_cast<float>(path.layer * 100 + path.index * 10 + v.part) + static_cast<float>(v.role) * 0.01f +
         static_cast<float>(i) * 0.5f;
}

struct MemoryModel {
  shard::Manifest manifest;
  std::vector<std::byte> file;  // the only blob file
};

inline MemoryModel make_memory_model(const engine::ModelConfig& config, const shard::FormatChoice& formats) {
  MemoryModel model;
  model.manifest.name = "in memory";
  model.manifest.config = config;
  model.manifest.paths = shard::enumerate_paths(config, formats);
  std::vector<std::byte> blob;
  for (shard::PathSpec& path : model.manifest.paths) {
    const shard::PathWeights weights{
        [&](const shard::MatrixSpec& m, std::uint32_t first, std::uint32_t n_rows, float* out) -> Status {
          for (std::uint32_t r = 0; r < n_rows; ++r)
            for (std::uint32_t c = 0; c < m.cols; ++c) *out++ = known_weight(path, m, first + r, c);
          return {};
        },
        [&](const shard::VectorSpec& v, float* out) -> Status {
          for (std::uint32_t i = 0; i < v.count; ++i) out[i] = known_vector(path, v, i);
          return {};
        }};
    COLONNADE_CHECK(shard::encode_path_blob(path, weights, blob).ok(), "known weights cannot fail");
    path.offset = model.file.size();
    model.file.insert(model.file.end(), blob.begin(), blob.end());
    model.file.resize(round_up(model.file.size(), shard::kBlobAlignment));
  }
  model.manifest.blob_files = {{.name = "memory", .bytes = model.file.size()}};
  return model;
}

/// Aligned as the loader's memory is.
class SliceMemory {
 public:
  explicit SliceMemory(std::size_t bytes)
      : bytes_(bytes), data_(static_cast<std::byte*>(::operator new(bytes + 1, std::align_val_t{4096}))) {
    std::memset(data_, 0xEE, bytes_);  // what is not read must not be used
  }
  ~SliceMemory() { ::operator delete(data_, std::align_val_t{4096}); }
  SliceMemory(const SliceMemory&) = delete;
  SliceMemory& operator=(const SliceMemory&) = delete;
  std::span<std::byte> span() const { return {data_, bytes_}; }

 private:
  std::size_t bytes_;
  std::byte* data_;
};

inline void read_slice(const MemoryModel& model, const shard::SliceLayout& layout, std::span<std::byte> memory) {
  for (const shard::SliceRead& read : layout.reads)
    std::memcpy(memory.data() + read.destination, model.file.data() + read.offset, read.bytes);
}

}  // namespace colonnade::tests
