// What the arithmetic of pruning runs on, and the memory that it holds.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "engine/base/aligned_buffer.h"
#include "engine/base/parallel.h"
#include "engine/kernels/kernels.h"

namespace colonnade::shard {

struct Compute {
  const engine::KernelTable& kernels;
  Parallel& team;
};

/// Counts the bytes of large buffers. Driven by one thread.
class MemoryMeter {
 public:
  void add(std::uint64_t bytes) {
    held_ += bytes;
    peak_ = std::max(peak_, held_);
  }
  void remove(std::uint64_t bytes) { held_ -= bytes; }
  std::uint64_t held_bytes() const { return held_; }
  std::uint64_t peak_bytes() const { return peak_; }

 private:
  std::uint64_t held_ = 0;
  std::uint64_t peak_ = 0;
};

/// An array that is counted while it lives. Zeroed; movable.
template <typename T>
class MeteredBuffer {
 public:
  MeteredBuffer() = default;
  MeteredBuffer(MemoryMeter& meter, std::size_t count) : meter_(&meter), buffer_(count) { meter.add(count * sizeof(T)); }
  MeteredBuffer(MeteredBuffer&& other) noexcept
      : meter_(std::exchange(other.meter_, nullptr)), buffer_(std::move(other.buffer_)) {}
  MeteredBuffer& operator=(MeteredBuffer&& other) noexcept {
    std::swap(meter_, other.meter_);
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~MeteredBuffer() {
    if (meter_ != nullptr) meter_->remove(buffer_.size() * sizeof(T));
  }

  T* data() { return buffer_.data(); }
  const T* data() const { return buffer_.data(); }
  std::size_t size() const { return buffer_.size(); }

 private:
  MemoryMeter* meter_ = nullptr;
  AlignedBuffer<T> buffer_;
};

/// Rows [first, last) of a matrix.
struct RowRange {
  std::size_t first = 0;
  std::size_t last = 0;

  std::size_t count() const { return last - first; }
  bool empty() const { return first >= last; }
};

/// A row-major fp32 matrix.
class FloatMatrix {
 public:
  FloatMatrix() = default;
  FloatMatrix(MemoryMeter& meter, std::size_t rows, std::size_t cols)
      : rows_(rows), cols_(cols), values_(meter, rows * cols) {}

  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  float* row(std::size_t r) { return values_.data() + r * cols_; }
  const float* row(std::size_t r) const { return values_.data() + r * cols_; }
  float* data() { return values_.data(); }
  const float* data() const { return values_.data(); }
  std::size_t size() const { return values_.size(); }

 private:
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
  MeteredBuffer<float> values_;
};

}  // namespace colonnade::shard
