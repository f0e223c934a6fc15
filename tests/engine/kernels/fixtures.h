// Matrices, activations and tables for the kernel tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "engine/base/aligned_buffer.h"
#include "engine/formats/format.h"
#include "engine/kernels/kernels.h"

namespace colonnade::tests {

inline std::vector<float> normal_values(std::size_t count, unsigned seed, float deviation = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

/// Keeps about `density` of the values.
inline std::vector<float> pruned(std::vector<float> values, double density, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  for (float& value : values)
    if (!(uniform(random) < density)) value = 0.0f;
  return values;
}

/// A packed matrix and the weights that it was made from. Exactly as long as its strips and what may be read behind them:
/// AddressSanitizer sees every byte beyond.
struct PackedMatrix {
  std::vector<float> weights;  // (rows, cols)
  AlignedBuffer<std::byte> bytes;
  std::vector<std::uint64_t> offsets;
  engine::MatrixView view;

  PackedMatrix(engine::FormatId format, std::uint32_t rows, std::uint32_t cols, unsigned seed, double density = 1.0)
      : weights(pruned(normal_values(std::size_t{rows} * cols, seed, 0.1f), density, seed + 1)), bytes(0) {
    std::vector<std::byte> packed;
    for (std::uint32_t row = 0; row < rows; row += engine::kStripRows) {
      offsets.push_back(packed.size());
      const int count = static_cast<int>(std::min<std::uint32_t>(engine::kStripRows, rows - row));
      engine::find_format(format)->encode_strip(weights.data() + std::size_t{row} * cols, cols, count, cols, packed);
    }
    offsets.push_back(packed.size());
    bytes = AlignedBuffer<std::byte>(packed.size() + engine::kReadSlack);
    std::memcpy(bytes.data(), packed.data(), packed.size());
    view.format = format;
    view.rows = rows;
    view.cols = cols;
    view.base = bytes.data();
    view.strip_offsets = offsets.data();
  }
};

/// Activations as floats and quantised, padded as Activations wants them.
struct Inputs {
  std::size_t stride;
  std::size_t groups;
  AlignedBuffer<float> values;
  AlignedBuffer<std::int8_t> q8;
  AlignedBuffer<float> scales;
  AlignedBuffer<std::int32_t> sums;
  std::size_t wide_rows;
  AlignedBuffer<engine::WideGroup> wide;

  Inputs(std::size_t n_rows, std::size_t cols, unsigned seed)
      : stride((cols + 63) / 64 * 64), groups(stride / 64), values(n_rows * stride), q8(n_rows * stride),
        scales(n_rows * groups), sums(n_rows * groups), wide_rows(n_rows + 3), wide(wide_rows * ((cols + 511) / 512)) {
    const auto random = normal_values(n_rows * cols, seed);
    for (std::size_t row = 0; row < n_rows; ++row) {
      for (std::size_t col = 0; col < cols; ++col) values[row * stride + col] = random[row * cols + col];
      quantize(row, cols);
      quantize_wide(row, cols);
    }
  }

  engine::Activations activations() const {
    engine::Activations a;
    a.values = values.data();
    a.stride = stride;
    a.q8 = q8.data();
    a.q8_stride = stride;
    a.scales = scales.data();
    a.sums = sums.data();
    a.group_stride = groups;
    a.wide = wide.data();
    a.wide_rows = wide_rows;
    return a;
  }

 private:
  /// Independent of the kernel under test.
  void quantize(std::size_t row, std::size_t cols) {
    for (std::size_t group = 0; group < groups; ++group) {
      float largest = 0;
      const std::size_t end = std::min(cols, group * 64 + 64);
      for (std::size_t c = group * 64; c < end; ++c) largest = std::max(largest, std::abs(values[row * stride + c]));
      const float scale = largest / 127.0f;
      int sum = 0;
      for (std::size_t c = group * 64; c < end && scale > 0; ++c) {
        const auto q = static_cast<int>(std::nearbyint(values[row * stride + c] / scale));
        q8[row * stride + c] = static_cast<std::int8_t>(q);
        sum += q;
      }
      scales[row * groups + group] = scale;
      sums[row * groups + group] = sum;
    }
  }

  void quantize_wide(std::size_t row, std::size_t cols) {
    for (std::size_t group = 0; group < (cols + 511) / 512; ++group) {
      engine::WideGroup& to = wide[group * wide_rows + row];
      float largest = 0;
      const std::size_t end = std::min(cols, group * 512 + 512);
      for (std::size_t c = group * 512; c < end; ++c) largest = std::max(largest, std::abs(values[row * stride + c]));
      const float scale = largest / 127.0f;
      for (std::size_t c = group * 512; c < group * 512 + 512; ++c) {
        const int q = c < end && scale > 0 ? static_cast<int>(std::nearbyint(values[row * stride + c] / scale)) : 0;
        to.bytes[c - group * 512] = static_cast<std::uint8_t>(q + 128);
      }
      to.scale = scale;
    }
  }
};

/// The tables that this machine can run, the scalar one excepted.
inline std::vector<const engine::KernelTable*> vector_tables() {
  std::vector<const engine::KernelTable*> tables;
  for (const engine::KernelTable* table : engine::all_kernels()) {
    if (std::strcmp(table->name, "scalar") != 0 && engine::kernels_supported(*table)) tables.push_back(table);
  }
  return tables;
}

inline const engine::KernelTable& scalar_table() { return **engine::choose_kernels("scalar"); }

template <typename Container>
bool same_bits(const Container& a, const Container& b) {
  if (a.size() != b.size()) return false;
  return a.size() == 0 || std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0;
}

}  // namespace colonnade::tests
