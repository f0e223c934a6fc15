// Rows of activations as matrices read them: fp32 values, and beside them the int8 forms with group scales.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/aligned_buffer.h"
#include "engine/base/units.h"
#include "engine/kernels/kernels.h"

namespace colonnade::engine {

/// Which forms the readers of some rows want.
struct ActivationKinds {
  bool values = false;  // fp32: rows are there anyway where they are normalised
  bool int8 = false;
  bool wide = false;
  bool lines = false;  // of wide ones: some reader takes turned blocks by lines, not by quads

  void add(FormatId format) {
    const ActivationKind kind = find_format(format)->activations();
    values = values || kind == ActivationKind::kF32;
    int8 = int8 || kind == ActivationKind::kInt8;
    wide = wide || kind == ActivationKind::kWide;
    lines = lines || (kind == ActivationKind::kWide && !has_quads(format));
  }
  void add(const ActivationKinds& other) {
    values = values || other.values;
    int8 = int8 || other.int8;
    wide = wide || other.wide;
    lines = lines || other.lines;
  }
};

inline ActivationKinds wanted_by(const MatrixView& matrix) {
  ActivationKinds kinds;
  kinds.add(matrix.format);
  return kinds;
}

/// Owns the memory for up to max_rows rows of up to max_width columns, zero beyond what is written. Different rows
/// may be written by different threads.
class ActivationRows {
 public:
  ActivationRows() = default;
  /// n_blocks: of turned rows, for which there is room too.
  ActivationRows(std::size_t max_rows, std::size_t max_width, std::size_t n_blocks = 0)
      : stride_(round_up(max_width, kActivationGroup)),
        groups_(stride_ / kActivationGroup),
        values_(max_rows * stride_),
        q8_(max_rows * stride_),
        scales_(max_rows * groups_),
        sums_(max_rows * groups_),
        wide_rows_(max_rows | 1),
        wide_groups_(div_up(max_width, kWideGroup)),
        wide_(wide_rows_ * wide_groups_),
        turned_(n_blocks * wide_groups_) {}

  std::size_t stride() const { return stride_; }
  float* row(std::size_t index) { return values_.data() + index * stride_; }

  /// Makes the wanted int8 forms of columns [first, first + count) of a row; `first` is a multiple of kActivationGroup,
  /// and of kWideGroup for the wide form.
  void quantize(const KernelTable& kernels, std::size_t index, std::size_t first, std::size_t count,
                const ActivationKinds& wanted) {
    quantize(kernels, row(index) + first, index, first, count, wanted);
  }
  /// The same of values that lie elsewhere.
  void quantize(const KernelTable& kernels, const float* values, std::size_t index, std::size_t first, std::size_t count,
                const ActivationKinds& wanted) {
    if (wanted.int8) {
      const std::size_t group = first / kActivationGroup;
      kernels.quantize(values, count, q8_.data() + index * stride_ + first,
                       scales_.data() + index * groups_ + group, sums_.data() + index * groups_ + group);
    }
    if (wanted.wide) {
      kernels.quantize_wide(values, count, wide_.data() + first / kWideGroup * wide_rows_ + index, wide_rows_);
    }
  }

  /// Turns what n_rows rows from first_row on, at most kTurnedTokens, have in a group of the wide form.
  void turn(const KernelTable& kernels, std::size_t first_row, std::size_t n_rows, std::size_t group, std::size_t block,
            const ActivationKinds& wanted) {
    kernels.turn(view(first_row), static_cast<int>(n_rows), group, !wanted.lines, turned_[block * wide_groups_ + group]);
  }
  /// The groups of a block, one after the other.
  const TurnedGroup* turned(std::size_t block) const { return turned_.data() + block * wide_groups_; }

  /// The rows from first_row on; token t reads row first_row + rows[t] (t when `rows` is null).
  Activations view(std::size_t first_row, const std::int32_t* rows = nullptr) const {
    Activations view;
    view.values = values_.data() + first_row * stride_;
    view.stride = stride_;
    view.q8 = q8_.data() + first_row * stride_;
    view.q8_stride = stride_;
    view.scales = scales_.data() + first_row * groups_;
    view.sums = sums_.data() + first_row * groups_;
    view.group_stride = groups_;
    view.wide = wide_.data() + first_row;
    view.wide_rows = wide_rows_;
    view.rows = rows;
    return view;
  }

 private:
  std::size_t stride_ = 0;
  std::size_t groups_ = 0;
  AlignedBuffer<float> values_;
  AlignedBuffer<std::int8_t> q8_;
  AlignedBuffer<float> scales_;
  AlignedBuffer<std::int32_t> sums_;
  std::size_t wide_rows_ = 0;  // odd, or the groups of a row could fall into the same cache sets
  std::size_t wide_groups_ = 0;
  AlignedBuffer<WideGroup> wide_;
  AlignedBuffer<TurnedGroup> turned_;  // (blocks, groups)
};

}  // namespace colonnade::engine
