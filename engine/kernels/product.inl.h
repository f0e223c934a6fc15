// Product of two fp32 matrices, added to a third: c += transposed(a) * b. Both factors are copied into the order in
// which registers read them, a panel of b in L1 and a panel of a in L2.
#pragma once

#include "engine/kernels/elementwise.inl.h"
#include "engine/kernels/kernels.h"

namespace colonnade::engine {

inline constexpr std::size_t kProductDepth = 256;  // terms that are summed in registers
inline constexpr std::size_t kProductPanelRows = 96;  // with 256 terms 96 KiB: of a, in L2

template <class V>
struct ProductPanels {
  static constexpr std::size_t kRows = V::kProductRows;
  static constexpr std::size_t kCols = V::kProductVectors * 16;
  alignas(64) float a[kProductPanelRows / kRows * kRows * kProductDepth];  // (row block, t, row)
  alignas(64) float b[kProductDepth * kCols];                              // (t, col)
};

/// Rows and columns past the end are zeros.
template <class V>
void copy_product_rows(const ProductArgs& args, std::size_t first, std::size_t count, std::size_t t0, std::size_t depth,
                       float* panel) {
  constexpr std::size_t kRows = ProductPanels<V>::kRows;
  for (std::size_t block = 0; block < count; block += kRows) {
    const std::size_t n = count - block < kRows ? count - block : kRows;
    for (std::size_t t = 0; t < depth; ++t) {
      const float* from = args.a + (t0 + t) * args.a_stride + first + block;
      for (std::size_t r = 0; r < kRows; ++r) panel[t * kRows + r] = r < n ? from[r] : 0.0f;
    }
    panel += kRows * depth;
  }
}

template <class V>
void copy_product_cols(const ProductArgs& args, std::size_t first, std::size_t count, std::size_t t0, std::size_t depth,
                       float* panel) {
  constexpr std::size_t kCols = ProductPanels<V>::kCols;
  for (std::size_t t = 0; t < depth; ++t) {
    const float* from = args.b + (t0 + t) * args.b_stride + first;
    for (std::size_t at = 0; at < kCols; at += 16) {
      const std::size_t n = at >= count ? 0 : (count - at < 16 ? count - at : 16);
      V::store(panel + t * kCols + at, n == 0 ? V::zero() : load_lanes<V>(from + at, n));
    }
  }
}

/// One tile of registers: n_rows x n_cols of it are added to c.
template <class V>
void add_product_tile(const float* a, const float* b, std::size_t depth, float* c, std::size_t c_stride,
                      std::size_t n_rows, std::size_t n_cols) {
  using F = typename V::F;
  constexpr int kRows = V::kProductRows, kVectors = V::kProductVectors;
  F sums[kRows][kVectors];
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kVectors; ++v) sums[r][v] = V::zero();
  for (std::size_t t = 0; t < depth; ++t) {
    F factors[kVectors];
    for (int v = 0; v < kVectors; ++v) factors[v] = V::load(b + 16 * v);
    for (int r = 0; r < kRows; ++r) {
      const F row = V::set(a[r]);
      for (int v = 0; v < kVectors; ++v) sums[r][v] = V::fma(row, factors[v], sums[r][v]);
    }
    a += kRows;
    b += 16 * kVectors;
  }
  for (int r = 0; r < kRows; ++r) {
    if (static_cast<std::size_t>(r) >= n_rows) break;
    float* const out = c + static_cast<std::size_t>(r) * c_stride;
    for (int v = 0; v < kVectors; ++v) {
      const std::size_t at = static_cast<std::size_t>(16 * v);
      if (at >= n_cols) break;
      const std::size_t n = n_cols - at < 16 ? n_cols - at : 16;
      store_lanes<V>(out + at, V::add(load_lanes<V>(out + at, n), sums[r][v]), n);
    }
  }
}

template <class V>
void add_product(const ProductArgs& args) {
  using Panels = ProductPanels<V>;
  constexpr std::size_t kPanelRows = kProductPanelRows / Panels::kRows * Panels::kRows;
  Panels panels;
  for (std::size_t t0 = 0; t0 < args.depth; t0 += kProductDepth) {
    const std::size_t depth = args.depth - t0 < kProductDepth ? args.depth - t0 : kProductDepth;
    for (std::size_t i0 = 0; i0 < args.rows; i0 += kPanelRows) {
      const std::size_t n_rows = args.rows - i0 < kPanelRows ? args.rows - i0 : kPanelRows;
      copy_product_rows<V>(args, i0, n_rows, t0, depth, panels.a);
      for (std::size_t j0 = 0; j0 < args.cols; j0 += Panels::kCols) {
        const std::size_t n_cols = args.cols - j0 < Panels::kCols ? args.cols - j0 : Panels::kCols;
        copy_product_cols<V>(args, j0, n_cols, t0, depth, panels.b);
        for (std::size_t i = 0; i < n_rows; i += Panels::kRows)
          add_product_tile<V>(panels.a + i * depth, panels.b, depth, args.c + (i0 + i) * args.c_stride + j0,
                              args.c_stride, n_rows - i < Panels::kRows ? n_rows - i : Panels::kRows, n_cols);
      }
    }
  }
}

}  // namespace colonnade::engine
